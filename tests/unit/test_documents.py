"""The documents: the site builds with no broken link, the references are up to date, each command is accounted for."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml

from documents.blocks import Block, blocks_of, documents, faults, inline_code
from documents.commands import PROGRAMS
from documents.generated import GENERATED
from documents.outside import ROOT, missing
from trending.api.names import KIND
from trending.api.spec import TrendingScheduleSpec
from trending.report.model import RunReason

BLOCKS = [block for path in documents() for block in blocks_of(path)]
OUTSIDE_DOCS = [
    path.relative_to(ROOT).as_posix()
    for folder in ("bench", "charts", "demo", "manifests", "tests")
    for path in sorted((ROOT / folder).rglob("*.md"))
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"the site cannot be built strictly:\n{done.stderr}{done.stdout}"
    return folder


def test_the_site_has_no_broken_link_no_missing_anchor_and_no_page_outside_the_navigation(site: Path) -> None:
    assert (site / "index.html").is_file()
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(https?:)?//|<link\b[^>]*\bhref=\"?https?://")
    for page in site.rglob("*.html"):
        text = re.sub(r'<link rel="canonical"[^>]*>', "", page.read_text(encoding="utf-8"))
        assert fetched.findall(text) == [], page.name


@pytest.mark.parametrize("path", OUTSIDE_DOCS)
def test_a_document_outside_docs_links_to_nothing_that_is_not_there(path: str) -> None:
    assert missing((ROOT / path).read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize("path", GENERATED)
def test_a_generated_page_is_up_to_date(path: str) -> None:
    wanted = GENERATED[path]()
    assert (ROOT / path).read_text(encoding="utf-8") == wanted, f"{path} is out of date: run `make docs-reference`"


def test_each_word_that_the_controller_answers_with_is_explained() -> None:
    said = {
        word
        for package in ("controller", "schedule")
        for path in (ROOT / "operator" / "trending" / package).rglob("*.py")
        for word in re.findall(r'reason="([A-Z][A-Za-z]+)"', path.read_text(encoding="utf-8"))
    }
    told = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert len(said) > 20
    assert [word for word in sorted({*said, *get_args(RunReason)}) if not re.search(rf"\b{word}\b", told)] == []


def test_each_block_of_code_is_executed_by_a_test_or_says_why_it_is_not() -> None:
    assert len(BLOCKS) > 30
    assert [fault for block in BLOCKS for fault in faults(block)] == []


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml"], ids=lambda block: block.where
)
def test_a_block_of_yaml_is_yaml_and_its_schedules_are_valid(block: Block) -> None:
    for document in yaml.safe_load_all(block.text):
        if isinstance(document, dict) and document.get("kind") == KIND:
            TrendingScheduleSpec.model_validate(document["spec"])


def calls(text: str) -> Iterator[tuple[str, list[str]]]:
    """The calls of our programs in a text: what is called, and its arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        for name in PROGRAMS:
            if found := re.search(rf"^(?:\$ )?(?:.*\| *)?{name}(?= |$)([^|&;>]*)", line):
                yield name, shlex.split(found[1], comments=True)


SHOWN = [(block.where, block.text) for block in BLOCKS if block.language in ("sh", "console")]
CALLS = [(where, *call) for where, text in SHOWN for call in calls(text)]
MENTIONS = [(path, *call) for path in documents() for text in inline_code(path) for call in calls(text)]


def understand(name: str, arguments: list[str]) -> None:
    """Have click read a call to its end, without doing anything."""
    command: click.Command = PROGRAMS[name]
    context: click.Context | None = None
    while isinstance(command, click.Group):
        context = command.make_context(name, list(arguments), parent=context)
        name, *arguments = [*context._protected_args, *context.args]
        inner = command.get_command(context, name)
        assert inner is not None, f"there is no command {name}"
        command = inner
    command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize(("where", "name", "arguments"), CALLS, ids=[f"{where} {args}" for where, _, args in CALLS])
def test_each_call_of_our_programs_that_is_shown_is_one_that_they_understand(
    where: str, name: str, arguments: list[str]
) -> None:
    assert where
    understand(name, arguments)


def test_each_command_that_a_sentence_mentions_is_there_with_its_options() -> None:
    assert len(MENTIONS) > 30
    for path, name, arguments in MENTIONS:
        if not arguments or arguments[0].startswith("<"):  # a key to press
            continue
        try:
            understand(name, arguments)
        except (click.MissingParameter, click.BadParameter, click.BadOptionUsage, click.exceptions.Exit):
            pass  # a sentence need not say all that a call needs, and may write NAME for a number
        except click.NoSuchOption as error:
            pytest.fail(f"{path}: `{name} {' '.join(arguments)}`: {error}")
