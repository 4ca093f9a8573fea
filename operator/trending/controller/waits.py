"""Active runs whose pod does not run: looked at now and then, until what keeps it is known and when it changes.

A pod that is slow to start is no news, so that the first look comes after ten seconds; the next ones come at growing
distances, but soon enough to tell within a minute whatever happens. A pod that is being deleted is looked at while it
is there, since all that it says goes with it; but one that ends within a second is gone before its Job's status says
anything. So how pods fail is also told by a watch; and when another one runs in its place of which nobody has told, how
it ended is looked up once. A run whose first pod runs costs no request.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from trending.api.names import JOB_UID_LABEL, SCHEDULE_LABEL
from trending.controller.kube import Kube
from trending.controller.pods import (
    Pod,
    by_age,
    created,
    has_ended,
    has_succeeded,
    how_it_went,
    is_being_made,
    is_taken_away,
    newest_warning,
    why_not_over,
    why_not_running,
    why_refused,
)
from trending.controller.progressing import Seen
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
    failed: int
    """How many of the Job's pods had failed: with each a new wait begins."""
    since: datetime
    look: datetime
    in_turn: bool = False
    """Whether `look` is a turn that was given to it, so that it need not stand in line again."""
    is_deleted: bool = False
    """Whether a look was taken because its pod is being deleted."""

    def heed_clock(self, now: datetime, *, line: timedelta) -> None:
        """Have it looked at now where that lies further ahead than it can, since the clock was set back meanwhile.

        `line` is how long the longest wait for a turn is.
        """
        if self.look - now > (line if self.in_turn else _pause_after(now - self.since)):
            self.look, self.in_turn = now, False
        self.since = min(self.since, now)


@dataclass(slots=True)
class _Run:
    uid: str
    ran: bool = False
    """Whether a pod of it was seen to run."""
    failed: int = 0
    """How many of its pods had failed when how the last one did was looked up."""
    wait: _Wait | None = None
    waits: str | None = None
    before: str | None = None
    before_created: str = ""
    """When the pod that `before` tells of was created."""
    told: tuple[str, str] | None = None
    """When a pod was created that has failed by the word of the watch, and how it went: it counts once the Job says
    that its pod does not run."""
    is_told: bool = False
    """Whether `before` tells of the last pod that is gone, so that it need not be looked up."""

    def tell(self, created: str, how: str) -> None:
        """Have `before` tell how a pod went, unless that of a younger one is known, which may be there no more."""
        if created >= self.before_created:
            self.before, self.before_created = how, created

    def count_told(self) -> None:
        """Have `before` tell of the pod that the watch has told of."""
        if self.told:
            self.tell(*self.told)
            self.told, self.is_told = None, True

    def has_another_pod(self, job: Job) -> bool:
        """Tell whether the pod that runs follows one of which nobody has looked up how it ended."""
        return not self.is_told and ((self.ran and self.wait is not None) or job.failed != self.failed)

    def goes_on(self, job: Job) -> None:
        """Note that a pod of it runs."""
        self.ran, self.failed, self.wait, self.waits, self.is_told = True, job.failed, None, None, False


class Waits:
    """What each schedule's active run waits for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._warnings = Warnings(kube)
        self._runs: dict[Key, _Run] = {}
        self._free: datetime | None = None
        """From when on nobody has the turn."""

    def seen(self, key: Key) -> Seen:
        """Return what looks at the pods of a schedule's active run have found."""
        run = self._runs.get(key)
        return Seen(uid=run.uid, waits=run.waits, before=run.before) if run else Seen()

    def how_ended(self, key: Key, uid: str) -> str | None:
        """Return how the last pod of the Job of that uid went, as far as it was seen; nobody can look that up once the
        pod is gone."""
        run = self._runs.get(key)
        if run is None or run.uid != uid:
            return None
        run.count_told()
        return run.before

    def forget(self, key: Key) -> None:
        """Forget a schedule that is gone, or that has no active run and has told of its last one."""
        self._runs.pop(key, None)

    def pod_failed(self, pod: Pod) -> None:
        """Take note of a pod that has failed, where its run is known: who comes to know it later looks it up."""
        labels = pod["metadata"].get("labels") or {}
        run = self._runs.get(Key(pod["metadata"]["namespace"], labels.get(SCHEDULE_LABEL, "")))
        if run and run.uid == labels.get(JOB_UID_LABEL) and created(pod) >= (run.told or ("",))[0]:
            run.told = (created(pod), how_it_went(pod))

    async def look(self, key: Key, jobs: Sequence[Job], now: datetime) -> datetime | None:
        """Look, where it is time to, at what the active run waits for; return when to look again."""
        active = [job for job in jobs if not job.finished]
        if not active:
            return None
        job = active[0]
        run = self._runs.get(key)
        if run is None or run.uid != job.uid:
            run = self._runs[key] = _Run(uid=job.uid)
        if any(each.ending for each in active):
            run.waits = None
            return None
        runs = any(each.ready for each in active) and not job.terminating
        if run.wait is not None or not runs:
            run.count_told()
        if runs and not run.has_another_pod(job):
            run.goes_on(job)
            return None
        wait = run.wait = _wait_of(run, job, now, at_once=runs)
        wait.heed_clock(now, line=self._longest_line)
        if now >= wait.look and self._has_turn(wait, now):
            try:
                await self._see(run, job, now)
            except Exception as error:  # noqa: BLE001 (no run shall wait for a sentence, whatever keeps it from being said)
                _log.info("%s/%s: its pods cannot be looked at: %r", job.namespace, job.name, error)
            if runs:
                run.goes_on(job)
                return None
            wait.look, wait.in_turn = now + _pause_after(now - wait.since), False
        return wait.look

    def _has_turn(self, wait: _Wait, now: datetime) -> bool:
        """Tell whether it may look now; else it is given a turn."""
        if wait.in_turn:
            return True
        turn = max(now, self._free or now)
        if turn - now > self._longest_line:  # it was given by a clock that was set back since
            turn = now
        self._free = turn + _APART
        wait.look, wait.in_turn = turn, turn > now
        return turn == now

    @property
    def _longest_line(self) -> timedelta:
        """How long the last of all runs would wait for its turn if all stood in line."""
        return _APART * len(self._runs)

    async def _see(self, run: _Run, job: Job, now: datetime) -> None:
        """Find out what a run waits for, and how its pod before ended."""
        if job.suspended:
            run.waits = "the Job itself is suspended, by somebody else or by a queue of Jobs"
            return
        pods = by_age(await self._kube.pods_of_job(job.namespace, job.uid))
        gone = [pod for pod in pods if (has_ended(pod) and not has_succeeded(pod)) or is_taken_away(pod)]
        if gone:
            run.tell(created(gone[-1]), how_it_went(gone[-1]))
        alive = [pod for pod in pods if not has_ended(pod)]
        if alive:
            run.waits = why_not_running(alive[-1]) or await self._why_not_starting(job, alive[-1], now)
        elif pods:
            run.waits = why_not_over(pods[-1]) or ""
        else:
            run.waits = await self._why_refused(job, now)

    async def _why_refused(self, job: Job, now: datetime) -> str:
        """Return why no pod was made, as far as somebody says so."""
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


def _pause_after(waited: timedelta) -> timedelta:
    """Return how long it is until the next look at a run that has waited for so long."""
    return min(_LONGEST, max(_FIRST_LOOK, waited))


def _wait_of(run: _Run, job: Job, now: datetime, *, at_once: bool) -> _Wait:
    """Return how a run's pod is waited for: as before, unless an attempt has failed since.

    The next look is at once where that is asked for, and where its pod is being deleted and was not seen since.
    """
    wait = run.wait
    if wait is None or wait.failed != job.failed:
        wait = _Wait(failed=job.failed, since=now, look=now + _FIRST_LOOK)
    if (at_once and not wait.in_turn) or (job.terminating and not wait.is_deleted):
        wait.look, wait.is_deleted = min(wait.look, now), True
    return wait
