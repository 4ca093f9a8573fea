"""The commands of docs/kubectl-trending.md, executed as a reader would, against an API server on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from documents.blocks import Block, blocks_of
from tests.unit.api_server import ApiServer
from trending.api.names import REQUESTED_AT_ANNOTATION
from trending.schedule.job_names import manual_job_name

BLOCKS = [
    block
    for block in blocks_of("docs/kubectl-trending.md")
    if block.directive == ("run by", "tests/unit/test_kubectl_documents.py")
]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with a kubectl that knows how to call its plugin, as kubectl does."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\nplugin="kubectl-$1"; shift\nexec "$plugin" "$@"\n')
    kubectl.chmod(0o755)
    return os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), "/usr/bin", "/bin"])


def succeeds_at_once(body: dict[str, Any]) -> None:
    """Act as a controller whose runs take no time."""
    request = (body["metadata"].get("annotations") or {}).get(REQUESTED_AT_ANNOTATION)
    if request:
        last = {"job": manual_job_name(body["metadata"]["name"], request), "result": "Succeeded"}
        body["status"] = {"lastRun": last, "lastHandledRequest": request}


def test_there_are_commands_to_execute() -> None:
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_the_commands_of_the_page_do_what_it_says(block: Block, server: ApiServer, path: str) -> None:
    server.meanwhile = succeeds_at_once
    environment = {"PATH": path, "KUBECONFIG": os.environ["KUBECONFIG"], "HOME": "/nowhere"}
    command = ["bash", "-e", "-o", "pipefail", "-c", block.text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout
