"""What other components warn of, by the object that it is about: listed once for all who ask within some seconds.

The API server has no index of events: to find those on one object it reads every event of the namespace, from etcd.
Where a thousand runs wait for their pods and each asked for itself, it would do little else.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from trending.controller.kube import JsonObject, Kube

_FRESH: Final = timedelta(seconds=5)
_KEPT: Final = ("reason", "message", "firstTimestamp", "lastTimestamp")


@dataclass(frozen=True, slots=True)
class _Listed:
    at: datetime
    events: Mapping[str, Sequence[JsonObject]]
    """By the uid of the object that they are about."""

    def is_fresh(self, now: datetime) -> bool:
        """Tell whether it is as of a moment ago; what is as of later than now, by a clock that was set back, is not."""
        return timedelta(0) <= now - self.at < _FRESH


class Warnings:
    """The events of type Warning of the namespaces that somebody asks about."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._listed: dict[str, _Listed] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def about(self, namespace: str, uid: str, now: datetime) -> Sequence[JsonObject]:
        """Return the warnings on the object of that uid as of five seconds ago or later, each in the fields that say
        something. Raises what the API server's refusal or the transport does."""
        async with self._locks[namespace]:  # who comes while it is being listed waits for that
            listed = self._listed.get(namespace)
            if listed is None or not listed.is_fresh(now):
                self._forget_old(now)
                listed = self._listed[namespace] = _Listed(now, _by_object(await self._kube.warnings(namespace)))
        return listed.events.get(uid, ())

    def _forget_old(self, now: datetime) -> None:
        for namespace in [each for each, listed in self._listed.items() if not listed.is_fresh(now)]:
            del self._listed[namespace]


def _by_object(events: Sequence[Mapping[str, Any]]) -> dict[str, list[JsonObject]]:
    found: dict[str, list[JsonObject]] = {}
    for event in events:
        kept = {name: event[name] for name in _KEPT if name in event}
        found.setdefault(str((event.get("involvedObject") or {}).get("uid")), []).append(kept)
    return found
