"""Links that lead out of docs/: the files they name become pages of the site, so that none of them leads nowhere.

A page is written with links that are right in the repository, such as `../manifests/examples/own-query.yaml`. In the
site the README is the first page, other Markdown files are pages, text is shown as code, a folder as a list.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = "docs"
ELSEWHERE: Final = "repository"
"""Where files from outside docs/ lie in the site."""
PLACES: Final = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Files that have a place of their own in the site."""

_LINK: Final = re.compile(r"(?P<before>\]\()(?P<path>[^)#\s<>:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_CODE: Final = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[ \t]*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LANGUAGES: Final = {".yaml": "yaml", ".yml": "yaml", ".sql": "sql", ".py": "python", ".json": "json", ".sh": "sh"}


def place(path: str) -> str:
    """Return where a file of the repository lies in the site; its name ends in .md where it is shown as a page."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    if path.endswith(".md") or is_picture(path):
        return f"{ELSEWHERE}/{path}"
    return f"{ELSEWHERE}/{path}/index.md" if (ROOT / path).is_dir() else f"{ELSEWHERE}/{path}.md"


def is_picture(path: str) -> bool:
    """Tell whether a file is taken into the site as it is."""
    return path.endswith((".png", ".svg"))


def origin(place_: str) -> str:
    """Return the file of the repository that a page of the site is of."""
    for path, there in PLACES.items():
        if there == place_:
            return path
    if not place_.startswith(f"{ELSEWHERE}/"):
        return f"{DOCS}/{place_}"
    path = place_.removeprefix(f"{ELSEWHERE}/")
    if (ROOT / path).is_file():
        return path
    return path.removesuffix("/index.md") if path.endswith("/index.md") else path.removesuffix(".md")


def text_of(path: str) -> str:
    """Return the Markdown that shows a file or folder of the repository."""
    file = ROOT / path
    if is_picture(path):
        return ""
    if file.is_dir():
        names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in file.iterdir())
        listed = "\n".join(f"- [{name}]({name.rstrip('/')})" for name in names if not name.startswith((".", "__")))
        return f"# {path}\n\n{listed}\n"
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    return f"# {path}\n\n```{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n```\n"


def links(text: str, path: str) -> Iterator[str]:
    """Yield the files of the repository that a file's text links to, whether they are there or not."""
    for match in _LINK.finditer(_CODE.sub("", text)):
        yield _target(match["path"], path)


def missing(text: str, path: str) -> list[str]:
    """Return what a file's text links to and is not there."""
    return [target for target in links(text, path) if not (ROOT / target).exists()]


def wanted(pages: dict[str, str]) -> dict[str, str]:
    """Return the files and folders outside docs/ that these pages link to, and those that they link to in turn.

    Both are texts by their path in the repository.
    """
    found: dict[str, str] = {}
    rest = dict(pages)
    while rest:
        path, text = rest.popitem()
        for target in links(text, path):
            if target.startswith(f"{DOCS}/") or target in pages or target in found or not (ROOT / target).exists():
                continue
            found[target] = rest[target] = text_of(target)
    return found


def rewritten(text: str, path: str) -> str:
    """Return a file's text with its links as they are in the site."""
    here = posixpath.dirname(place(path))

    def replace(match: re.Match[str]) -> str:
        target = _target(match["path"], path)
        if not (ROOT / target).exists():
            return match[0]  # for mkdocs to complain of
        if target.startswith(f"{DOCS}/") and not target.endswith(".md"):
            there = target.removeprefix(f"{DOCS}/")
        else:
            there = place(target)
        return f"{match['before']}{posixpath.relpath(there, here or '.')}{match['anchor'] or ''}{match['after']}"

    return _outside_code(text, lambda part: _LINK.sub(replace, part))


def _target(link: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(path if (ROOT / path).is_dir() else posixpath.dirname(path), link))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])
