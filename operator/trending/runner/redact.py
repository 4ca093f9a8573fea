"""Secrets taken out of texts before they leave the runner.

A driver's text may quote the connection URI or the password in it, as it is or percent-encoded.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg

_HIDDEN: Final = "[hidden]"
_SHORTEST: Final = 6
"""A shorter password would be found in innocent words, and its gaps would give it away."""

_ONE_A_HOST_ADDRESS: Final = "Multiple connection attempts failed"
"""Where a host has several addresses, psycopg lists after these words what each said; the last one stands before."""


class Redactor:
    """Knows the secrets of one connection and takes them out of texts."""

    def __init__(self, uri: str, *passwords: str | None) -> None:
        """Hide the URI and each password in any encoding; None and the empty text are no passwords."""
        secrets = [password for password in passwords if password]
        self._quotes_nothing = any(len(password) < _SHORTEST for password in secrets)
        patterns = [re.escape(uri)] if uri else []
        patterns += [_in_any_encoding(password) for password in secrets if len(password) >= _SHORTEST]
        self._secret = re.compile("|".join(patterns)) if patterns else None

    def text(self, text: str) -> str:
        """Return the text with each secret replaced. One under six characters is not looked for: see `driver_text`."""
        return self._secret.sub(_HIDDEN, text) if self._secret else text

    def foreign(self, text: str) -> str:
        """Return a text that is not our own with each secret replaced, or nothing of it where that cannot be done."""
        if self._quotes_nothing:
            return f"[left out, since a password under {_SHORTEST} characters cannot be hidden in it]"
        return self.text(text)

    def driver_text(self, error: psycopg.Error) -> str:
        """Return what a driver's error says, on one line, with its SQLSTATE; where the password is too short to be told
        from other words, the SQLSTATE alone."""
        state = error.sqlstate
        if self._quotes_nothing:
            what = f"the server answered SQLSTATE {state}" if state else "the connection failed"
            return f"{what}; its text is left out, since a password under {_SHORTEST} characters cannot be hidden in it"
        if state is None:
            return self.text(_on_one_line(str(error).partition(_ONE_A_HOST_ADDRESS)[0]))
        diag = error.diag
        said = diag.message_primary or str(error)
        for more in (diag.message_detail, diag.message_hint):
            if more:
                said = f"{said.rstrip('.')}. {more}"
        return self.text(_on_one_line(f"{said.rstrip('.')} (SQLSTATE {state})"))


def _in_any_encoding(secret: str) -> str:
    """Return a pattern for a secret whose characters may each be percent-encoded, in upper or lower case, or not."""
    return "".join(f"(?:{_percent_encoded(char)}|{re.escape(char)})" for char in secret)


def _percent_encoded(char: str) -> str:
    digits = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
    return re.sub("[a-f]", lambda found: f"[{found[0]}{found[0].upper()}]", digits)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
