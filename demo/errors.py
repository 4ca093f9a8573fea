"""The one error that this package raises on purpose."""

from __future__ import annotations


class DemoError(Exception):
    """Says in one sentence what did not work, and names the command that shows more."""

    def __init__(self, sentence: str, *, look: str) -> None:
        super().__init__(f"{sentence}\nMore: {look}")
        self.sentence = sentence
        self.look = look
