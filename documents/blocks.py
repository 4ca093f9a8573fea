"""The code blocks of the documents: which commands they show, and who executes them.

A block that shows commands (`sh`, `console`, `sql`) is executed by the tests, page by page, in order, unless a comment
right before it says who does or why nobody can:

    <!-- not run: it needs your registry -->
    <!-- run in: cluster -->
    <!-- run by: tests/postgres/test_database_roles.py -->

`<!-- commands on this page are not run: .. -->` says so for all blocks of a page that have no comment of their own. A
YAML block with a title (```yaml title="hourly.yaml") is the file of this name that later commands read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

from documents.outside import ROOT

COMMANDS: Final = ("sh", "console", "sql")
"""Languages whose blocks are executed."""
OTHERS: Final = ("yaml", "json", "text", "promql", "python", "dockerfile", "mermaid")
"""Languages whose blocks show something else."""
_DIRECTIVE: Final = re.compile(r"<!--\s*(not run|run in|run by|run as):\s*(.+?)\s*-->", re.DOTALL)
_WHOLE_PAGE: Final = re.compile(r"<!--\s*commands on this page are not run:\s*(.+?)\s*-->", re.DOTALL)
_TITLE: Final = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Block:
    """A code block of a document."""

    path: str
    """The document, from the repository's root."""
    line: int
    language: str
    """As the fence names it; empty for an indented block and a fence without a name."""
    title: str | None
    """The file that it shows."""
    directive: tuple[str, str] | None
    """How it is executed or why it is not, such as ("run in", "cluster")."""
    text: str

    @property
    def where(self) -> str:
        """The place as editors and terminals know it."""
        return f"{self.path}:{self.line}"

    @property
    def shows_commands(self) -> bool:
        """Whether it has to be executed, or to say why not."""
        return self.language in COMMANDS

    @property
    def is_for_us(self) -> bool:
        """Whether the tests of the documents execute it without a cluster."""
        return self.shows_commands and (self.directive is None or self.directive[0] == "run as")

    @property
    def is_for_the_cluster(self) -> bool:
        """Whether the tests of the documents execute it in a cluster."""
        return self.shows_commands and self.directive == ("run in", "cluster")


def documents() -> list[str]:
    """Return the documents whose commands count: the README and all pages."""
    pages = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *pages]


def blocks_of(path: str) -> list[Block]:
    """Return the code blocks of a document, in order."""
    return list(_blocks(path, (ROOT / path).read_text(encoding="utf-8")))


def inline_code(path: str) -> list[str]:
    """Return what a document shows as code within its sentences and tables."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / path).read_text(encoding="utf-8"))
    inner = [child for token in tokens for child in token.children or []]
    return [child.content for child in inner if child.type == "code_inline"]


def faults(block: Block) -> Iterator[str]:
    """Yield what is wrong with a block, each a sentence that begins with its place."""
    if not block.language:
        yield f"{block.where}: write the block as a fence that names its language: {', '.join(COMMANDS + OTHERS)}"
    elif block.language not in COMMANDS + OTHERS:
        known = ", ".join(COMMANDS + OTHERS)
        yield f"{block.where}: the documents know no blocks of {block.language!r}, only {known}"
    if block.directive and block.directive[0] == "run by":
        test = ROOT / block.directive[1]
        if not test.is_file() or Path(block.path).name not in test.read_text(encoding="utf-8"):
            yield f"{block.where}: {block.directive[1]} does not execute it: it does not name {Path(block.path).name}"
    if block.directive and block.directive[0] == "run in" and block.directive[1] != "cluster":
        yield f"{block.where}: blocks are run in a `cluster`, or where the tests are"


def _blocks(path: str, text: str) -> Iterator[Block]:
    """Walk through a document's blocks; a directive counts for the block that follows it at once."""
    whole_page = _WHOLE_PAGE.search(text)
    default = ("not run", whole_page[1]) if whole_page else None
    directive = default
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            if found := _DIRECTIVE.search(token.content):
                directive = (found[1], " ".join(found[2].split()))
            continue
        if token.type in ("fence", "code_block") and token.map is not None:
            language, _, rest = token.info.strip().partition(" ")
            title = _TITLE.search(rest)
            yield Block(
                path=path,
                line=token.map[0] + 1,
                language={"bash": "sh", "shell": "sh", "yml": "yaml"}.get(language, language),
                title=title[1] if title else None,
                directive=directive,
                text=token.content,
            )
        directive = default
