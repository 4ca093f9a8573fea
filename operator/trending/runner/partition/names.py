"""Names for tables and indexes: readable, at most 63 bytes, the same for the same things."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

_LONGEST: Final = 63
"""Bytes of a name in PostgreSQL (NAMEDATALEN - 1)."""
_HASH: Final = 8


def fitted(base: str, suffix: str = "", *, told_apart_by: Sequence[object] | None = None) -> str:
    """Return `base` and `suffix` in at most 63 bytes.

    Where the base has to be cut, or where `told_apart_by` is given, eight digits of a hash stand between the two.
    """
    if told_apart_by is None and len((base + suffix).encode()) <= _LONGEST:
        return base + suffix
    digits = hashlib.sha256(json.dumps([base, *(told_apart_by or ())]).encode()).hexdigest()[:_HASH]
    room = _LONGEST - len(suffix.encode()) - _HASH - 1
    return f"{base.encode()[:room].decode(errors='ignore')}_{digits}{suffix}"


def of_partitions(
    table: str, labels: Mapping[tuple[object, ...], Sequence[str]], *, taken: Collection[str]
) -> dict[tuple[object, ...], str]:
    """Return a name for each partition, by its path: the table's name and its labels, joined by underscores.

    A hash of the path is added where letters had to be replaced, where two names would be the same and where one is
    taken already by another table or type of the schema.
    """
    plain = {path: "_".join([table, *map(_slug, parts)]) for path, parts in labels.items()}
    count = Counter(plain.values())
    names = {}
    for path, parts in labels.items():
        name = plain[path]
        is_own = count[name] == 1 and name not in taken and all(_slug(part) == part for part in parts)
        names[path] = fitted(name, told_apart_by=None if is_own else [str(each) for each in path])
    return names


def _slug(text: str) -> str:
    return re.sub(r"[^\w]+", "_", text) or "empty"
