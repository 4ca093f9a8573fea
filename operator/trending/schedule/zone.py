"""Time zones from the pinned tzdata package, so that a slot does not depend on the machine that counts it."""

from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo


class UnknownTimeZoneError(ValueError):
    """No zone of that name is in the tzdata package; the text says what to write."""


@lru_cache
def load_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name such as `Europe/Berlin`, read as Go does: upper and lower case count.

    Raises UnknownTimeZoneError where there is none; an empty name and `Local` are none.
    """
    if name not in _names():
        near = next((known for known in sorted(_names()) if known.lower() == name.lower()), None)
        hint = f"did you mean {near}?" if near else "write an IANA name such as Etc/UTC or Europe/Berlin"
        raise UnknownTimeZoneError(f"spec.timeZone: there is no time zone {name!r}; {hint}")
    path = resources.files("tzdata.zoneinfo").joinpath(*name.split("/"))
    with path.open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())
