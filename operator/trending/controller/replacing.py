"""Active Jobs that make way for another: deleted, and remembered until the written status tells of them.

With a Job go its pods and what they would have reported, so nobody can find out later how it ended. Where the
controller dies between the deletion and the status write, the next one finds the Job missing, and says that.
"""

import logging
from datetime import datetime
from typing import Final

from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import Kube
from trending.controller.progressing import waited_for
from trending.controller.runs import as_replaced
from trending.controller.store import Key, Store
from trending.schedule.history import unrecorded
from trending.schedule.observed import Job, Schedule

_log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class Replacements:
    """Deletes active Jobs and remembers them."""

    def __init__(self, *, kube: Kube, store: Store) -> None:
        self._kube = kube
        self._store = store
        self._untold: dict[Key, list[Job]] = {}

    def jobs_of(self, schedule: Schedule) -> list[Job]:
        """Return the Jobs that a schedule owns, those that made way as finished ones until the status tells of them."""
        key = Key(schedule.namespace, schedule.name)
        known = [job for job in self._untold.pop(key, []) if job.owner == schedule.uid]
        deleted = {job.uid for job in known}
        owned = [job for job in self._store.jobs(key) if job.owner == schedule.uid and job.uid not in deleted]
        untold = unrecorded([*owned, *known], schedule.status)
        active = {run.uid for run in schedule.status.active}  # that one of these ended must not look as if it were lost
        remembered = [job for job in known if job in untold or job.uid in active]
        if remembered:
            self._untold[key] = remembered
        return [*owned, *remembered]

    def forget(self, key: Key) -> None:
        """Forget what is remembered of a schedule that is gone."""
        self._untold.pop(key, None)

    async def make_way(self, schedule: Schedule, job: Job, *, by: str, now: datetime) -> None:
        """Delete an active Job for Job `by`, unless it turns out to have finished, or to have changed just now.

        Raises ApiException where the API server refuses.
        """
        key = Key(schedule.namespace, schedule.name)
        try:
            body = await self._kube.get_job(job.namespace, job.name)
            found = Job.from_object(body)
            if found.finished:
                self._store.put_job(body)
                return
            version = body["metadata"]["resourceVersion"]
            await self._kube.delete_job(job.namespace, job.name, uid=job.uid, version=version)
        except ApiException as error:
            if error.status == _NOT_FOUND:  # somebody else deleted it: it has gone missing
                self._store.forget_job(key, job.name, uid=job.uid)
            elif error.status != _CONFLICT:
                raise
            return
        _log.info("%s/%s: deleted to make way for %s", job.namespace, job.name, by)
        waited = waited_for(schedule.status, job.name)
        self._untold.setdefault(key, []).append(as_replaced(found, by=by, now=now, waited=waited))
        self._store.forget_job(key, job.name, uid=job.uid)
