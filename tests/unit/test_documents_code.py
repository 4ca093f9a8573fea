"""What makes a site of the documents and executes their commands: its pure parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents.blocks import Block, _blocks, faults
from documents.execution import WrongBlockError, execute, matches, session
from documents.outside import missing, origin, place, rewritten, text_of, wanted


def block(text: str, *, language: str = "console", directive: tuple[str, str] | None = None) -> Block:
    return Block(path="docs/x.md", line=3, language=language, title=None, directive=directive, text=text)


def test_a_comment_counts_for_the_block_right_after_it_alone() -> None:
    text = (
        "<!-- not run: it costs money -->\n```sh\na\n```\n\n```sh\nb\n```\n\n"
        "<!-- run in: cluster -->\n\nWords.\n\n```sh\nc\n```\n"
    )
    first, second, third = _blocks("docs/x.md", text)
    assert (first.directive, second.directive, third.directive) == (("not run", "it costs money"), None, None)
    assert (first.is_for_us, second.is_for_us, third.line) == (False, True, 14)


def test_a_page_may_say_so_once_and_a_block_otherwise() -> None:
    text = (
        "<!-- commands on this page are not run: no cluster -->\n\n```sh\na\n```\n\n"
        "<!-- run in: cluster -->\n```sh\nb\n```\n"
    )
    first, second = _blocks("docs/x.md", text)
    assert (first.is_for_us, first.is_for_the_cluster, second.is_for_the_cluster) == (False, False, True)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (block("ls", language=""), "write the block as a fence"),
        (block("ls", language="fish"), "know no blocks of 'fish'"),
        (block("ls", language="sh", directive=("run by", "tests/unit/test_duration.py")), "does not name x.md"),
        (block("ls", language="sh", directive=("run in", "space")), "blocks are run in a `cluster`"),
    ],
)
def test_a_block_that_nobody_accounts_for_is_told_with_its_place(wrong: Block, sentence: str) -> None:
    (fault,) = faults(wrong)
    assert fault.startswith("docs/x.md:3: ")
    assert sentence in fault


def test_a_session_is_commands_with_what_each_prints() -> None:
    text = "$ one \\\n  --more\nprinted\n\nmore\n$ two\n$ three\nthe end\n"
    assert list(session(text)) == [("one \\\n  --more", "printed\n\nmore"), ("two", ""), ("three", "the end")]


def test_dots_in_what_is_shown_stand_for_anything_and_nothing_else_does() -> None:
    assert matches("a\n...\nd", "a\nb\nc\nd\n")
    assert matches("took ... s", "took 1.5 s  \n")
    assert matches("", "whatever")
    assert not matches("a\n...\nd", "a\nb\nc\n")
    assert not matches("a.c", "abc")


def test_a_command_that_fails_or_prints_something_else_is_told_with_its_block(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    execute(
        block("$ echo postgresql://me@host/db\npostgresql://real\n"), tmp_path, environment, uri="postgresql://real"
    )
    with pytest.raises(WrongBlockError, match=r"docs/x.md:3: .*\nshows\nno\nbut prints\nyes"):
        execute(block("$ echo yes\nno\n"), tmp_path, environment)
    with pytest.raises(WrongBlockError, match=r"docs/x\.md:3: exit code 1"):
        execute(block("false | cat\ntrue", language="sh"), tmp_path, environment)


def test_links_out_of_docs_lead_to_pages_of_the_site_and_code_is_left_alone() -> None:
    text = "[a](../bench/README.md#x) [b](plan.md) [c](../manifests/examples/) `[d](../bench/README.md)` [e](https://x.org/y.md)"
    assert rewritten(text, "docs/benchmarks.md") == (
        "[a](repository/bench/README.md#x) [b](plan.md) [c](repository/manifests/examples/index.md) "
        "`[d](../bench/README.md)` [e](https://x.org/y.md)"
    )
    assert rewritten("[a](docs/plan.md)", "README.md") == "[a](plan.md)"
    assert missing("[a](nowhere.md) [b](plan.md)", "docs/x.md") == ["docs/nowhere.md"]
    for path in ("README.md", "docs/plan.md", "bench/README.md", "manifests/examples", "manifests/crd.yaml"):
        assert origin(place(path)) == path


def test_a_folder_is_a_list_and_what_it_leads_to_is_in_the_site_too() -> None:
    assert "- [audius-hourly.yaml](audius-hourly.yaml)" in text_of("manifests/examples")
    found = wanted({"docs/x.md": "[a](../manifests/examples/)"})
    assert {"manifests/examples", "manifests/examples/own-query.yaml", "manifests/examples/gitops/flux.yaml"} <= set(
        found
    )
