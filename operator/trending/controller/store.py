"""What the controller knows of the cluster: schedules and their Jobs, fed by watches and lists.

A watch can lose an event and a list can be older than a watch, so an object is replaced only by a newer one of
itself, a listing removes only what is older than the list, and what a watch told to be gone is not brought back by an
older list or by a late answer to a write. Resource versions are compared as numbers, as Kubernetes allows from 1.35 on
and etcd always did.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from trending.api.names import SCHEDULE_LABEL
from trending.controller.shelf import Key, Shelf
from trending.schedule.observed import Job, Schedule

__all__ = ["Key", "Store"]

_log = logging.getLogger(__name__)

_FOR_GOOD: Final = sys.maxsize
"""Newer than any resource version: what was deleted by ourselves, or is found to be gone, has no newer word."""


class _Unreadable(NamedTuple):
    """What is known of a schedule that this version cannot read."""

    version: int
    uid: str


class Store:
    """Schedules by key, and Jobs by the key of the schedule that their label names."""

    def __init__(self, *, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._schedules = Shelf()
        self._unreadable: dict[Key, _Unreadable] = {}
        self._jobs: dict[Key, dict[str, tuple[int, Job]]] = {}
        self._gone_schedules: dict[str, int] = {}
        self._gone_jobs: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._schedules)

    @property
    def unreadable(self) -> int:
        """How many schedules there are that this version cannot read; a thread may ask."""
        return len(self._unreadable)

    def schedule(self, key: Key) -> Schedule | None:
        """Return a schedule; None where there is none."""
        return self._schedules.get(key)

    def keys(self) -> list[Key]:
        """Return the keys of all schedules."""
        return self._schedules.keys()

    def is_asked(self, key: Key) -> bool:
        """Tell whether a schedule is asked for a run that its status does not know yet."""
        return self._schedules.is_asked(key)

    def schedules(self) -> Iterator[Schedule]:
        """Yield all schedules in the order of their keys, made anew one after another; a thread may ask."""
        return self._schedules.each()

    def jobs(self, key: Key) -> list[Job]:
        """Return the Jobs that carry a schedule's label, of whatever owner."""
        return [job for _, job in self._jobs.get(key, {}).values()]

    def put_schedule(self, body: Mapping[str, Any]) -> None:
        """Take up a schedule as read; one that is older than what is known is passed over.

        One that cannot be read is told each time it is listed, so that no log is without it.
        """
        key, version = _key(body), _version(body)
        if self._schedules.version(key) >= version or version <= self._gone_schedules.get(_uid(body), -1):
            return
        if key in self._unreadable and self._unreadable[key].version > version:
            return
        try:
            self._schedules.put(key, version, body)
        except ValidationError as error:
            # The API server checks the same rules, so this is an object of another version of the operator.
            _log.error("%s/%s is passed over, since this version cannot read it: %s", key.namespace, key.name, error)
            self._unreadable[key] = _Unreadable(version, _uid(body))
            return
        self._unreadable.pop(key, None)
        self._changed(key)

    def remove_schedule(self, key: Key, *, uid: str | None = None, version: int | None = None) -> None:
        """Forget a schedule that is gone: the one of that uid, if told, at that resource version, if told."""
        known = self._unreadable[key].uid if key in self._unreadable else self._schedules.uid(key)
        if uid is None:
            uid = known
        if known is not None and known == uid:
            self._drop(key)
        if uid:
            self._gone_schedules[uid] = _FOR_GOOD if version is None else version

    def put_job(self, body: Mapping[str, Any]) -> None:
        """Take up a Job as read; one that is older than what is known is passed over."""
        key = _schedule_key(body)
        if key is None:
            return
        job, version = Job.from_object(body), _version(body)
        known = self._jobs.get(key, {}).get(job.name)
        if (known and known[0] >= version) or version <= self._gone_jobs.get(job.uid, -1):
            return
        jobs = self._jobs.setdefault(key, {})
        jobs[job.name] = (version, job)
        self._changed(key)

    def remove_job(self, body: Mapping[str, Any]) -> None:
        """Forget a Job that is gone."""
        key = _schedule_key(body)
        if key is not None:
            self.forget_job(key, body["metadata"]["name"], uid=_uid(body), version=_version(body))

    def forget_job(self, key: Key, name: str, *, uid: str, version: int | None = None) -> None:
        """Forget the Job of that name and uid, which is gone at that resource version, if told."""
        self._gone_jobs[uid] = _FOR_GOOD if version is None else version
        jobs = self._jobs.get(key, {})
        if name in jobs and jobs[name][1].uid == uid:
            del jobs[name]
            if not jobs:
                del self._jobs[key]
            self._changed(key)

    def keep_schedules(self, listed: Iterable[Key], version: int, *, namespace: str | None = None) -> None:
        """Forget schedules that a list of that resource version does not hold and that are not newer than it.

        Where the list is of one namespace, those of the others stay.
        """
        known = [*self.keys(), *self._unreadable]
        gone = {key for key in known if namespace in (None, key.namespace)} - set(listed)
        for key in gone:
            read_at = self._unreadable[key].version if key in self._unreadable else self._schedules.version(key)
            if read_at <= version:
                self._drop(key)

    def _drop(self, key: Key) -> None:
        self._schedules.discard(key)
        self._unreadable.pop(key, None)
        self._changed(key)  # what others keep of it is to go too

    def keep_jobs(self, listed: Iterable[str], version: int, *, namespace: str | None = None) -> None:
        """Forget Jobs whose uid a list of that resource version does not hold and that are not newer than it.

        Where the list is of one namespace, those of the others stay.
        """
        uids = set(listed)
        for key, jobs in [item for item in self._jobs.items() if namespace in (None, item[0].namespace)]:
            for known, job in list(jobs.values()):
                if job.uid not in uids and known <= version:
                    self.forget_job(key, job.name, uid=job.uid)

    def forget_gone(self) -> None:
        """Forget what was told to be gone, once everything has been listed since."""
        self._gone_schedules.clear()
        self._gone_jobs.clear()


def _key(body: Mapping[str, Any]) -> Key:
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])


def _schedule_key(body: Mapping[str, Any]) -> Key | None:
    name = (body["metadata"].get("labels") or {}).get(SCHEDULE_LABEL)
    return Key(body["metadata"]["namespace"], name) if name else None


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("uid", ""))


def _version(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion", "0"))
