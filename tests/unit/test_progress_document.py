"""The commands of docs/progress.md, executed as a reader would, against an API server on loopback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from documents.blocks import Block, blocks_of
from tests.unit.api_server import ApiServer
from tests.unit.test_kubectl_documents import path
from tests.unit.test_kubectl_in_cluster import made
from tests.unit.test_kubectl_logs import log_of, run
from trending.report.event import EventKind, RunEvent

__all__ = ["made", "path"]

PAGE = "docs/progress.md"
BLOCKS = [block for block in blocks_of(PAGE) if block.directive == ("run by", f"tests/unit/{Path(__file__).name}")]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_the_commands_of_the_page_do_what_it_says(
    block: Block, server: ApiServer, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(server, "hourly-2", at="10:00", log=log_of(capsys))
    server.logs["plan exits with"] = "0"
    server.jobs[0] |= {"status": server.jobs[1]["status"]}
    server.jobs[1]["spec"] = server.jobs[0]["spec"]
    environment = {"PATH": path, "KUBECONFIG": os.environ["KUBECONFIG"], "HOME": "/nowhere"}
    command = ["bash", "-e", "-o", "pipefail", "-c", block.text]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_page_names_every_event_and_every_field() -> None:
    text = Path(__file__).parents[2].joinpath(PAGE).read_text(encoding="utf-8")
    for field in RunEvent.model_fields.values():
        assert f"`{field.alias}`" in text or f'"{field.alias}"' in text
    for kind in get_args(EventKind):
        assert f"| `{kind}` |" in text


def test_the_examples_of_the_page_are_events() -> None:
    (block,) = (each for each in blocks_of(PAGE) if each.language == "json")
    lines = block.text.splitlines()
    assert [RunEvent.model_validate_json(line).to_line() for line in lines] == lines
