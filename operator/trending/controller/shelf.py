"""Schedules as they are kept: each as the JSON it was read from, the ones used last also as the objects made of it.

A schedule's object takes thirty kilobytes, its JSON three. Of ten thousand few are looked at in one minute, and to make
the object anew takes a quarter of a millisecond.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from trending.schedule.observed import Schedule

READY: Final = 1024
"""So many are kept as objects too."""
_METADATA: Final = (
    "namespace",
    "name",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "annotations",
)


class Key(NamedTuple):
    """What names an object: namespace and name."""

    namespace: str
    name: str


class _Kept(NamedTuple):
    """A schedule, and of what it says that which is asked for often."""

    version: int
    uid: str
    is_asked: bool
    text: bytes


class Shelf:
    """Schedules by key, each with the resource version it was read at."""

    def __init__(self, *, ready: int = READY) -> None:
        self._most = ready
        self._kept: dict[Key, _Kept] = {}
        self._ready: OrderedDict[Key, Schedule] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Key) -> bool:
        return key in self._kept

    def keys(self) -> list[Key]:
        """Return all keys."""
        return list(self._kept)

    def version(self, key: Key) -> int:
        """Return the resource version of a schedule; -1 where there is none."""
        return self._kept[key].version if key in self._kept else -1

    def uid(self, key: Key) -> str | None:
        """Return the uid of a schedule; None where there is none."""
        return self._kept[key].uid if key in self._kept else None

    def is_asked(self, key: Key) -> bool:
        """Tell whether a schedule is asked for a run that its status does not know yet."""
        return key in self._kept and self._kept[key].is_asked

    def get(self, key: Key) -> Schedule | None:
        """Return a schedule; None where there is none."""
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        if key not in self._kept:
            return None
        return self._make_ready(key, Schedule.from_object(json.loads(self._kept[key].text)))

    def put(self, key: Key, version: int, body: Mapping[str, Any]) -> None:
        """Keep a schedule. Raises pydantic's ValidationError where it cannot be read; what was there is gone then."""
        self.discard(key)
        schedule = Schedule.from_object(body)
        metadata = {name: body["metadata"][name] for name in _METADATA if name in body["metadata"]}
        kept = {"metadata": metadata, "spec": body["spec"], "status": body.get("status") or {}}
        text = json.dumps(kept, separators=(",", ":")).encode()
        self._kept[key] = _Kept(version, schedule.uid, schedule.request is not None, text)
        self._make_ready(key, schedule)

    def discard(self, key: Key) -> None:
        """Drop a schedule, if it is there."""
        self._kept.pop(key, None)
        self._ready.pop(key, None)

    def each(self) -> Iterator[Schedule]:
        """Yield all schedules in the order of their keys, made anew one after another; a thread may ask."""
        for _, kept in sorted(self._kept.copy().items()):
            yield Schedule.from_object(json.loads(kept.text))

    def _make_ready(self, key: Key, schedule: Schedule) -> Schedule:
        self._ready[key] = schedule
        if len(self._ready) > self._most:
            self._ready.popitem(last=False)
        return schedule
