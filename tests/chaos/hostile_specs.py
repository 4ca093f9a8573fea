"""Specs as nobody should write them: valid ones in which something was changed, left out, added or doubled."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import strategies as st

from tests.unit.valid_specs import VALID_SPECS

Place = tuple[Any, ...]
"""The keys and indexes that lead to a value in a spec."""

_WRONG: Final[list[Any]] = [
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**63 - 1,
        1.5,
        "",
        " ",
        "0",
        "x" * 300,
        "ü" * 70,
        "\u0000",
        "\n",
        [],
        {},
        [None],
        {"": ""},
    ),
    *("* * * * *", "0 0 30 2 *", "*/0 * * * *", "60 * * * *", "TZ=UTC * * * * *", "@every 1s", "@every -1h", "@reboot"),
    *("@every 99999h", "* * * * * *", "5-3 * * * *", "\u00a0* * * * *", "*/100 * * * *", "? ? ? ? ?"),
    *("-1s", "1h-1m", "0s", "1y", "99999999999h", "Mars/Olympus", "Local", "../../etc/passwd", "Allow", "Replace"),
    *("'; DROP TABLE scores; --", '"', "${HOME} $$ $(NAME)", "{{ .Values }}", "schema.table.column", "audius/nothing"),
]


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield where something lies in a value, itself left out."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*place, key)
        yield from places(member, (*place, key))


@st.composite
def hostile_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid spec with one to three things wrong with it, or with nothing wrong as it happens."""
    spec: dict[str, Any] = copy.deepcopy(draw(VALID_SPECS))
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(sorted(places(spec), key=str)))
        holder: Any = spec
        for key in parents:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "replace", "leave out", "add", "double"])):
            case "replace":
                holder[last] = copy.deepcopy(draw(st.sampled_from(_WRONG)))
            case "leave out":
                del holder[last]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(["unknown", "Name", "\u00e9", "x-y/z"]))] = copy.deepcopy(
                    draw(st.sampled_from(_WRONG))
                )
        if not spec:
            return spec
    return spec
