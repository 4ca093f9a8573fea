"""What mkdocs calls while it builds the site."""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from documents import outside


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README as the first page, and whatever pages link to outside docs/."""
    pages = {path: outside.text_of(path) for path in outside.PLACES}
    pages |= {outside.origin(file.src_uri): file.content_string for file in files.documentation_pages()}
    for path, text in {**pages, **outside.wanted(pages)}.items():
        place = outside.place(path)
        if files.get_file_from_path(place) is None:
            if outside.is_picture(path):
                files.append(File.generated(config, place, abs_src_path=str(outside.ROOT / path)))
            else:
                files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Have links lead where in the site things are."""
    return outside.rewritten(markdown, outside.origin(page.file.src_uri))
