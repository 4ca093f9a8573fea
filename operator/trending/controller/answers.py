"""What the API server answers, read: JSON of the shape that was asked for.

A proxy that answers in its place says 200 as well, with a page in HTML or an object that is no list.
"""

import json
from typing import Any, Final

_SHOWN: Final = 80
"""Characters of an answer that are told: enough to see whose it is."""


class UnreadableError(ConnectionError):
    """An answer that is none to what was asked: like no answer at all it may be another one the next time."""


def read_object(answer: bytes) -> dict[str, Any]:
    """Return the object that an answer is. Raises UnreadableError."""
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError):
        raise _unreadable("no JSON", answer) from None
    if not isinstance(body, dict):
        raise _unreadable("no object", answer)
    return body


def read_resource(answer: bytes) -> dict[str, Any]:
    """Return the object that an answer is, which has metadata, as each resource and each list has. Raises
    UnreadableError."""
    body = read_object(answer)
    if not isinstance(body.get("metadata"), dict):
        raise _unreadable("no resource", answer)
    return body


def read_event(line: bytes) -> dict[str, Any]:
    """Return the event of a watch, with `type` and `object`, that a line of its stream is. Raises UnreadableError."""
    event = read_object(line)
    if not (isinstance(event.get("type"), str) and isinstance(event.get("object"), dict)):
        raise _unreadable("no event of a watch", line)
    return event


def items_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a page of a list holds. Raises UnreadableError where it is no list's."""
    items = page.get("items")
    if not isinstance(items, list):
        raise _unreadable("no list", json.dumps(page).encode())
    return items


def _unreadable(what: str, answer: bytes) -> UnreadableError:
    words = " ".join(answer[: 4 * _SHOWN].decode(errors="replace").split())
    return UnreadableError(f"the API server's answer is {what}: {words[:_SHOWN]!r}")
