"""Events on schedules, each sent once.

An event's name is made of what it says, so that the API server refuses it a second time, whoever sends it. What was
sent last is remembered only to spare the API server the question: a state that lasts is told anew by each pass.
"""

import logging
from array import array
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import Kube, why_failed
from trending.controller.manifests import build_event
from trending.controller.settings import Settings
from trending.controller.store import Key
from trending.schedule.decision import Event
from trending.schedule.observed import Schedule

_log = logging.getLogger(__name__)

_CONFLICT: Final = 409
_REMEMBERED: Final = 32
"""So many of each schedule: more than one pass has to tell, unless as many Jobs may not be deleted."""


class Recorder:
    """Sends events to the API server.

    Of each schedule the hashes of what was sent last are kept, 8 bytes an event: a controller with ten thousand
    schedules runs for months, and must not grow by what it has said.
    """

    def __init__(self, *, kube: Kube, settings: Settings) -> None:
        self._kube = kube
        self._settings = settings
        self._sent: dict[Key, array[int]] = {}

    async def record(self, schedule: Schedule, events: Iterable[Event], now: datetime) -> None:
        """Send what has not been sent; an event that cannot be sent is logged, since no run shall wait for it."""
        for event in events:
            identity = hash((schedule.uid, event.reason, event.key))
            sent = self._sent.setdefault(Key(schedule.namespace, schedule.name), array("q"))
            if identity in sent or not await self._send(schedule, event, now):
                continue
            sent.append(identity)
            del sent[:-_REMEMBERED]

    def forget(self, key: Key) -> None:
        """Forget a schedule that is gone."""
        self._sent.pop(key, None)

    async def _send(self, schedule: Schedule, event: Event, now: datetime) -> bool:
        """Send an event; False where the API server does not have it now."""
        try:
            await self._kube.create_event(build_event(schedule, event, now, self._settings))
        except Exception as error:  # noqa: BLE001 (no run shall wait for an event, whatever keeps it from being sent)
            if isinstance(error, ApiException) and error.status == _CONFLICT:
                return True
            why = why_failed(error)
            _log.warning("event %s of %s/%s: %s", event.reason, schedule.namespace, schedule.name, why)
            return False
        return True
