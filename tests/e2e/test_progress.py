"""`kubectl trending logs`, `plan` and `migrate`: a run is watched from outside, and what is no run is not counted."""

from __future__ import annotations

import json
import subprocess

from tests.e2e.databases import Database
from tests.e2e.namespaces import Namespace
from tests.e2e.schedules import gated_target, schedule
from tests.e2e.test_plugin import PLUGIN, plugin
from trending.api.names import PURPOSE_LABEL


def test_a_run_is_followed_and_plans_and_migrations_leave_no_trace(namespace: Namespace, database: Database) -> None:
    namespace.create_secret(database.uri)
    with database.gate():
        namespace.apply(schedule(gated_target()))
        database.until_waiting_at_gate()
        command = [str(PLUGIN), "logs", "scores", "-f", f"--namespace={namespace.name}"]
        following = subprocess.Popen(
            command, env=namespace.kubectl.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    said, aside = following.communicate(timeout=180)
    assert following.returncode == 0
    (job,) = namespace.jobs("scores")
    assert f"of Job {job['metadata']['name']}" in aside
    told = [line.partition(" ")[2] for line in said.splitlines()]
    assert told[0] == "to do: rewrite main"
    assert told[-1].startswith("Succeeded: ")
    raw = [json.loads(line) for line in plugin(namespace, "logs", "scores", "--raw").stdout.splitlines()]
    assert {event.get("event") for event in raw} >= {"plan", "start", "end", "report", None}
    assert database.server.password not in said + aside + json.dumps(raw)

    before = namespace.until_run_ended("scores")
    plan = plugin(namespace, "plan", "scores", "--output=json")
    assert plan.returncode == 0, plan.stderr
    (rewrite,) = json.loads(plan.stdout)["rewrite"]
    assert (rewrite["rowsUnchanged"], rewrite["strategy"]) == (1, "Merge")
    migration = plugin(namespace, "migrate", "scores")
    assert (migration.returncode, migration.stdout) == (0, "0001_ledger: nothing to do, the ledger is there.\n")
    assert namespace.status("scores") == before
    assert [each["metadata"]["name"] for each in namespace.jobs("scores")] == [job["metadata"]["name"]]
    left = namespace.kubectl.list("jobs", namespace=namespace.name, selector=PURPOSE_LABEL)
    assert [each for each in left if "deletionTimestamp" not in each["metadata"]] == []
