"""`kubectl trending`, as a person calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import query_target, schedule

PLUGIN = Path(sys.executable).with_name("kubectl-trending")


def kubectl(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call kubectl where it finds the plugin."""
    path = f"{PLUGIN.parent}{os.pathsep}{namespace.kubectl.env['PATH']}"
    environment = {**namespace.kubectl.env, "PATH": path}
    return subprocess.run(
        ["kubectl", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=180
    )


def plugin(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return kubectl(namespace, "trending", *arguments, f"--namespace={namespace.name}")


def test_a_person_suspends_runs_by_hand_and_resumes(namespace: Namespace, database: Database) -> None:
    namespace.create_secret(database.uri)
    namespace.apply(schedule(query_target(), immediate=False))
    assert plugin(namespace, "suspend", "scores").stdout == "scores: suspended\n"
    namespace.until_status("scores", lambda s: not s.get("nextScheduleTime") and s.get("conditions"), what="suspended")
    assert plugin(namespace, "status", "scores").returncode == 3, "not fresh: it never ran"
    run = plugin(namespace, "run", "scores", "--wait")
    assert run.returncode == 0, run.stderr
    assert "Succeeded" in run.stdout
    assert plugin(namespace, "status", "scores").returncode == 0
    assert "rewrite main" in plugin(namespace, "history", "scores", "--output=wide").stdout
    assert plugin(namespace, "resume", "scores").stdout == "scores: resumed\n"
    namespace.until_status("scores", lambda status: status.get("nextScheduleTime"), what="resumed")
    assert plugin(namespace, "list", "--output=name").stdout == "trendingschedule.trending.dev/scores\n"
    offered = kubectl(namespace, "__complete", "trending", "--namespace", namespace.name, "status", "")
    assert offered.stdout.splitlines() == ["scores", ":4"]


def test_what_does_not_exist_is_told_in_a_sentence(namespace: Namespace) -> None:
    done = plugin(namespace, "run", "nothing")
    assert done.returncode == 1
    assert done.stderr == f'Error: there is no schedule "nothing" in namespace {namespace.name}\n'
