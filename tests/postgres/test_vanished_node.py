"""A node that vanishes without a word: nobody sends a FIN or RST for its runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.postgres.runs import OPERATOR


def test_the_sessions_of_a_runner_whose_packets_are_dropped_are_gone_within_60_s() -> None:
    """In a network of its own, which needs root; see vanished_node.py."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.postgres.vanished_node"],
        env={**os.environ, "PYTHONPATH": f"{OPERATOR}{os.pathsep}{OPERATOR.parent}"},
        cwd=OPERATOR.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("seconds") < 60
    assert found == {"sessions": 2, "locks": 0, "stages": 0, "rows": 0}, "two sessions, and nothing that they leave"
