"""Active runs whose pod does not run: looked at now and then, until what keeps it is known and when it changes.

A pod that is slow to start is no news, so that the first look comes after ten seconds; the next ones come at growing
distances, but soon enough to tell within a minute whatever happens. A run whose pod runs costs no request.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trending.controller.kube import Kube
from trending.controller.pods import (
    Pod,
    by_age,
    has_ended,
    how_it_ended,
    is_being_made,
    newest_warning,
    why_not_running,
    why_refused,
)
from trending.controller.store import Key
from trending.controller.warned import Warnings
from trending.schedule.observed import Job

_log = logging.getLogger(__name__)

_FIRST_LOOK: Final = timedelta(seconds=10)
_LONGEST: Final = timedelta(seconds=45)
_REPEATED: Final = timedelta(minutes=5)
"""The kubelet repeats a warning more often than that."""
_APART: Final = timedelta(milliseconds=25)
"""Between two looks: a thousand runs that begin in the same minute and wait for nodes are looked at one by one."""


@dataclass(slots=True)
class _Wait:
    uid: str
    failed: int
    """How many of the Job's pods had failed: with each a new wait begins."""
    since: datetime
    look: datetime
    in_turn: bool = False
    """Whether `look` is a turn that was given to it, so that it need not stand in line again."""
    told: str | None = None


class Waits:
    """What each schedule's active run waits for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._warnings = Warnings(kube)
        self._waits: dict[Key, _Wait] = {}
        self._free: datetime | None = None
        """From when on nobody has the turn."""

    def told(self, key: Key) -> dict[str, str]:
        """Return what keeps a schedule's active run's pod from running, by the Job's uid: empty where nothing says,
        absent where it has not been looked at yet."""
        wait = self._waits.get(key)
        return {} if wait is None or wait.told is None else {wait.uid: wait.told}

    def forget(self, key: Key) -> None:
        """Forget a schedule that is gone."""
        self._waits.pop(key, None)

    async def look(self, key: Key, jobs: Sequence[Job], now: datetime) -> datetime | None:
        """Look, where it is time to, at what the active run waits for; return when to look again."""
        active = [job for job in jobs if not job.finished]
        if not active or any(job.ready for job in active):
            self.forget(key)
            return None
        job = active[0]
        wait = self._waits.get(key)
        if wait is None or (wait.uid, wait.failed) != (job.uid, job.failed):
            wait = self._waits[key] = _Wait(uid=job.uid, failed=job.failed, since=now, look=now + _FIRST_LOOK)
        if now >= wait.look and self._has_turn(wait, now):
            try:
                wait.told = await self._why(job, now)
            except Exception as error:  # noqa: BLE001 (no run shall wait for a sentence, whatever keeps it from being said)
                _log.info("%s/%s: its pods cannot be looked at: %r", job.namespace, job.name, error)
            wait.look, wait.in_turn = now + min(_LONGEST, max(_FIRST_LOOK, now - wait.since)), False
        return wait.look

    def _has_turn(self, wait: _Wait, now: datetime) -> bool:
        """Tell whether it may look now; else it is given a turn."""
        if wait.in_turn:
            return True
        turn = max(now, self._free or now)
        self._free = turn + _APART
        wait.look, wait.in_turn = turn, turn > now
        return turn == now

    async def _why(self, job: Job, now: datetime) -> str:
        if job.suspended:
            return "the Job itself is suspended, by somebody else or by a queue of Jobs"
        pods = by_age(await self._kube.pods_of_job(job.namespace, job.uid))
        alive = [pod for pod in pods if not has_ended(pod)]
        if alive:
            return why_not_running(alive[-1]) or await self._why_not_starting(job, alive[-1], now)
        if pods:
            return f"another attempt follows the last one: {how_it_ended(pods[-1])}"
        warnings = await self._warnings.about(job.namespace, job.uid, now)
        refused = newest_warning([event for event in warnings if event.get("reason") == "FailedCreate"])
        return why_refused(refused) if refused else ""

    async def _why_not_starting(self, job: Job, pod: Pod, now: datetime) -> str:
        """Return what the node warns of while it makes a pod: of volumes and networks no status tells."""
        if not is_being_made(pod):
            return ""
        warnings = await self._warnings.about(job.namespace, pod["metadata"]["uid"], now)
        # What is older is over, and that it could not be scheduled is too.
        said = [event for event in warnings if event.get("reason") != "FailedScheduling"]
        warning = newest_warning(said, since=now - _REPEATED)
        return f"its pod does not start: {warning}" if warning else ""
