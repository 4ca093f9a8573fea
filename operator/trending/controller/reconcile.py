"""One pass over a schedule: observe, decide, act, write the status; in that order and in this one place.

Whatever dies when, the next pass comes right: a Job's name is the lock of its slot, a status write is refused when the
object has changed since it was read, an event's name is made of what it says.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kubernetes.aio.client.exceptions import ApiException

from trending.api.names import API_VERSION, KIND
from trending.api.status import TrendingScheduleStatus
from trending.controller.kube import JsonObject, Kube, reason_of
from trending.controller.late import LateStarts
from trending.controller.manifests import build_job, is_left_behind
from trending.controller.progressing import waited_for
from trending.controller.recorder import Recorder
from trending.controller.replacing import Replacements
from trending.controller.runs import FinishedRun, finish, finish_replaced, is_replaced, read_pods
from trending.controller.settings import Settings
from trending.controller.status import change_events, created_job_events, missing_job_events, next_status, run_events
from trending.controller.store import Key, Store
from trending.controller.tallies import Tallies
from trending.controller.validity import Refusals
from trending.controller.waits import Waits
from trending.schedule.decision import Decision, Event, Progress, decide, is_caught_up, is_told
from trending.schedule.history import unrecorded
from trending.schedule.observed import Job, Schedule
from trending.schedule.starting import leave_out

_log = logging.getLogger(__name__)

_NOT_FOUND = 404
_CONFLICT = 409
_ROUNDS = 8
"""A pass that has not come to rest after so many writes and conflicts is begun again later, so that others get their
turn."""
_AGAIN = timedelta(seconds=2)
_TRIM_AGAIN = timedelta(minutes=1)


class CreateRefusedError(Exception):
    """The API server did not create a Job; its own words are the text. It is tried again."""


class DeleteRefusedError(Exception):
    """The API server did not delete a Job that has to make way; its words are the text. It is tried again."""


class Reconciler:
    """Carries out what is decided, on a cluster."""

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        settings: Settings,
        clock: Callable[[], datetime],
        tallies: Tallies | None = None,
        is_pressed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._kube = kube
        self._store = store
        self._settings = settings
        self._clock = clock
        self._tallies = tallies or Tallies()
        self._is_pressed = is_pressed
        self._recorder = Recorder(kube=kube, settings=settings)
        self._replacements = Replacements(kube=kube, store=store)
        self._late = LateStarts()
        self._refusals = Refusals()
        self._waits = Waits(kube)
        self._put_off: set[Key] = set()
        self._refused: dict[Key, str] = {}

    def pod_failed(self, pod: JsonObject) -> None:
        """Take note of how a run's pod failed: it may be gone in the next moment."""
        self._waits.pod_failed(pod)

    async def reconcile(self, key: Key) -> datetime | None:
        """Bring a schedule to rest; return when to look at it again, None where nothing is to come.

        Raises CreateRefusedError, DeleteRefusedError and ApiException where the API server refuses; the pass is to be
        repeated then, later and later.
        """
        for _ in range(_ROUNDS):
            schedule = self._store.schedule(key)
            if schedule is None:
                self._replacements.forget(key)
                self._tallies.forget(key)
                self._late.forget(key)
                self._refusals.forget(*key)
                self._waits.forget(key)
                self._recorder.forget(key)
                self._put_off.discard(key)
                self._refused.pop(key, None)
                return None
            now = self._clock()
            jobs = self._replacements.jobs_of(schedule)
            look = await self._waits.look(key, jobs, now)
            decision = self._late.hold(schedule, decide(schedule, jobs, now, refusal=self._refusals.of(schedule)), now)
            if not decision.starts:
                self._refused.pop(key, None)  # the run that had no Job is not due any more
            trimmed = await self._delete_surplus(schedule, jobs, decision, now)
            wrote = await self._step(schedule, jobs, decision, now)
            if decision.starts and key in self._put_off:
                return decision.wake  # the Job that the store was given has the schedule looked at before that
            if not wrote and not decision.starts:
                self._put_off.discard(key)
                if all(job.finished for job in jobs):
                    self._waits.forget(key)
                await self._recorder.record(schedule, decision.events, now)
                wake = _wake(schedule, decision, look)
                return wake if trimmed else min(wake or now + _TRIM_AGAIN, now + _TRIM_AGAIN)
        return self._clock() + _AGAIN

    async def _step(self, schedule: Schedule, jobs: Sequence[Job], decision: Decision, now: datetime) -> bool:
        """Do the next thing that needs a status write; False where nothing does."""
        runs = [await self._finish(schedule, job) for job in unrecorded(jobs, schedule.status)]
        missed = decision.missed > 0  # once the Job is there, nothing else tells that slots before it were not run
        if runs or missed or not is_caught_up(schedule, decision) or not decision.starts:
            return await self._write(schedule, decision, decision.progress, jobs, runs, now)
        if decision.action == "replace":
            if not is_told(schedule, decision):  # what a Job that is deleted was started for is told nowhere else
                return await self._write(schedule, decision, decision.progress, jobs, runs, now)
            if other := await self._holder(schedule, decision):  # nothing would come of ending the active run
                return await self._leave_out(schedule, jobs, decision, other, now)
            return await self._make_way(schedule, jobs, decision, now)
        return await self._start(schedule, jobs, decision, now)

    async def _make_way(self, schedule: Schedule, jobs: Sequence[Job], decision: Decision, now: datetime) -> bool:
        """Delete the active Jobs that the decision replaces; it is decided again once they are gone."""
        for job in [job for job in jobs if job.name in decision.replaces]:
            try:
                await self._replacements.make_way(schedule, job, by=str(decision.job), now=now)
            except ApiException as error:
                message = f"Error deleting job {job.name}: {reason_of(error)}"
                failed = Event(type="Warning", reason="FailedDelete", message=message, key=f"{job.uid}/{decision.job}")
                await self._recorder.record(schedule, [failed], now)
                raise DeleteRefusedError(message) from error
        return True

    async def _holder(self, schedule: Schedule, decision: Decision) -> Job | None:
        """Return the Job of somebody else's that has the name of the one to start; None where there is none."""
        try:
            body = await self._kube.get_job(schedule.namespace, str(decision.job))
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            return None
        job = Job.from_object(body)
        return None if job.owner == schedule.uid or is_left_behind(schedule, body) else job

    async def _leave_out(
        self, schedule: Schedule, jobs: Sequence[Job], decision: Decision, other: Job, now: datetime
    ) -> bool:
        decision = leave_out(decision, other)
        return await self._write(schedule, decision, decision.progress, jobs, [], now)

    async def _finish(self, schedule: Schedule, job: Job) -> FinishedRun:
        if is_replaced(job):
            run = finish_replaced(job)
        else:
            pods = await self._kube.pods_of_job(job.namespace, job.uid)
            remains = read_pods(pods)
            death = remains.death or self._waits.how_ended(Key(schedule.namespace, schedule.name), job.uid)
            run = finish(job, replace(remains, death=death, waited=waited_for(schedule.status, job.name)))
        # What a pod has left behind may be anybody's text: it must not look like a line of this log.
        message = " ".join((run.last_run.message or "").split())
        _log.info("%s/%s: %s: %s", job.namespace, job.name, run.last_run.result, message)
        return run

    async def _start(self, schedule: Schedule, jobs: Sequence[Job], decision: Decision, now: datetime) -> bool:
        key = Key(schedule.namespace, schedule.name)
        try:
            job = await self._create(schedule, decision, now)
        except CreateRefusedError as error:  # the status tells of it, and of data that become stale meanwhile
            self._refused[key] = str(error)
            await self._write(schedule, decision, decision.progress, jobs, [], now)
            raise
        self._refused.pop(key, None)
        if job.owner != schedule.uid:
            return await self._leave_out(schedule, jobs, decision, job, now)
        progress = decision.started or decision.progress
        if self._is_pressed() and is_told(schedule, decision):
            # Other slots are due and wait for their Jobs: what there is to tell of this one waits. Should this process
            # die now, the Job itself says that its slot is started, and the next controller tells of it.
            self._put_off.add(key)
            return True
        return await self._write(schedule, decision, progress, [*jobs, job], [], now)

    async def _create(self, schedule: Schedule, decision: Decision, now: datetime) -> Job:
        """Create the Job, or find that one of its name is there already, be it ours or somebody else's."""
        manifest = build_job(schedule, decision, now, self._settings)
        try:
            body = await self._kube.create_job(manifest)
        except ApiException as error:
            if error.status != _CONFLICT:
                why = reason_of(error)
                message = f"Error creating job {decision.job}: {why}"
                key = f"{decision.job}/{error.status}"  # once a run, however often it is tried
                failed = Event(type="Warning", reason="FailedCreate", message=message, key=key)
                await self._recorder.record(schedule, [failed], now)
                raise CreateRefusedError(why) from error
            body = await self._kube.get_job(schedule.namespace, str(decision.job))
            if is_left_behind(schedule, body):  # the garbage collector is about to take it
                why = f"Job {decision.job} is still there, of the schedule of this name that was deleted"
                raise CreateRefusedError(why) from error
        else:
            late = (self._clock() - decision.due_time).total_seconds() if decision.due_time else 0.0
            if decision.trigger == "Schedule":
                self._tallies.count_start(schedule, late)
            _log.info("%s/%s: created, %.1f s after its time", schedule.namespace, decision.job, late)
        job = Job.from_object(body)
        if job.owner == schedule.uid:
            self._store.put_job(body)
        return job

    async def _write(
        self,
        schedule: Schedule,
        decision: Decision,
        progress: Progress,
        jobs: Sequence[Job],
        runs: Sequence[FinishedRun],
        now: datetime,
    ) -> bool:
        """Write the status where it differs, then send the events that go with it; False where it does not differ."""
        key = Key(schedule.namespace, schedule.name)
        status = next_status(
            schedule,
            decision,
            progress=progress,
            jobs=jobs,
            runs=runs,
            now=now,
            seen=self._waits.seen(key),
            refused=self._refused.get(key),
        )
        if status == schedule.status:
            return False
        try:
            body = await self._kube.replace_status(_with_status(schedule, status))
        except ApiException as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise
            await self._read_again(schedule)
            return True
        self._store.put_schedule(body)
        self._tallies.count_runs(schedule, runs)
        self._tallies.count_missed(schedule, decision.missed, now=now)
        self._put_off.discard(key)
        await self._recorder.record(
            schedule,
            [
                *(event for event in decision.events if event.reason != "SuccessfulCreate"),
                *created_job_events(schedule, jobs, runs),
                *(() if schedule.deleting else missing_job_events(schedule.status, jobs)),
                *run_events(runs),
                *change_events(schedule.status, status),
            ],
            now,
        )
        return True

    async def _read_again(self, schedule: Schedule) -> None:
        """Somebody changed the object since it was read: read it as it is now, to decide again."""
        key = Key(schedule.namespace, schedule.name)
        try:
            self._store.put_schedule(await self._kube.get_schedule(*key))
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            self._store.remove_schedule(key)

    async def _delete_surplus(self, schedule: Schedule, jobs: Sequence[Job], decision: Decision, now: datetime) -> bool:
        """Delete Jobs beyond the history limits; False where that was refused, which is told and holds no run up."""
        deleted = True
        for job in [job for job in jobs if job.name in decision.deletes]:
            try:
                await self._kube.delete_job(job.namespace, job.name, uid=job.uid)
            except ApiException as error:
                if error.status not in (_NOT_FOUND, _CONFLICT):
                    message = f"Error deleting job {job.name}: {reason_of(error)}"
                    failed = Event(type="Warning", reason="FailedDelete", message=message, key=job.uid)
                    await self._recorder.record(schedule, [failed], now)
                    deleted = False
                    continue
            self._store.forget_job(Key(schedule.namespace, schedule.name), job.name, uid=job.uid)
        return deleted


def _with_status(schedule: Schedule, status: TrendingScheduleStatus) -> JsonObject:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": schedule.name,
            "namespace": schedule.namespace,
            "uid": schedule.uid,
            "resourceVersion": schedule.resource_version,
        },
        "spec": schedule.raw_spec,
        "status": status.to_json_object(),
    }


def _wake(schedule: Schedule, decision: Decision, look: datetime | None) -> datetime | None:
    """Return when the clock alone will change something: the next slot, a deadline, data that become stale, another
    look at a pod that does not run."""
    fresh = any(c.type == "Fresh" and c.status == "True" for c in schedule.status.conditions)
    instants = [decision.wake, look, schedule.status.stale_time if fresh else None]
    return min(filter(None, instants), default=None)
