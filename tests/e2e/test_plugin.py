"""`kubectl trending`: run, suspend and resume, as a person calls them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import query_target, schedule

PLUGIN = Path(sys.executable).with_name("kubectl-trending")


def plugin(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PLUGIN), *arguments, f"--namespace={namespace.name}"]
    return subprocess.run(command, env=namespace.kubectl.env, capture_output=True, text=True, check=False, timeout=180)


def test_a_person_suspends_runs_by_hand_and_resumes(namespace: Namespace, database: Database) -> None:
    namespace.create_secret(database.uri)
    namespace.apply(schedule(query_target(), immediate=False))
    assert plugin(namespace, "suspend", "scores").stdout == "scores: suspended\n"
    namespace.until_status("scores", lambda s: not s.get("nextScheduleTime") and s.get("conditions"), what="suspended")
    assert "a run is requested" in plugin(namespace, "run", "scores").stdout
    assert namespace.until_run_ended("scores")["lastRun"]["result"] == "Succeeded"
    assert plugin(namespace, "resume", "scores").stdout == "scores: resumed\n"
    namespace.until_status("scores", lambda status: status.get("nextScheduleTime"), what="resumed")


def test_what_does_not_exist_is_told_in_a_sentence(namespace: Namespace) -> None:
    done = plugin(namespace, "run", "nothing")
    assert done.returncode == 1
    assert done.stderr == f'Error: there is no schedule "nothing" in namespace {namespace.name}\n'
