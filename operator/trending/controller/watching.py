"""Watches: streams from the API server, of which only what somebody asks about is kept.

kopf keeps some twenty kilobytes of each object that it watches, and spends a millisecond on each event. With ten
thousand schedules that is most of the controller's memory, for Jobs of which a dozen fields matter; so these are
watched here, as client-go's reflectors do: from the resource version of a list on, bookmarks moving it while nothing
happens, and from a new list where the API server does not remember that far back.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import JsonObject, Kube, why_failed
from trending.controller.listing import list_jobs
from trending.controller.store import Store

_log = logging.getLogger(__name__)

_GONE: Final = 410
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_SHORTEST_WATCH: Final = 1.0
"""Seconds: a stream that ends sooner and has told nothing was not meant to last, so another is not opened at once."""


class ExpiredError(Exception):
    """The API server does not remember what has happened since; everything has to be listed anew."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """By what a watch waits before it tries again."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    timer: Callable[[], float] = time.monotonic


_USUAL: Final = Pace()


class Watch:
    """Watches objects of a kind, in one namespace or in all."""

    kind: ClassVar[str]
    """What they are called in logs."""

    def __init__(self, *, kube: Kube, namespace: str | None, pace: Pace) -> None:
        self.kube = kube
        self.namespace = namespace
        self._pace = pace
        self._failures = 0
        self._cut_at: float | None = None
        self._cut_by = ""
        self.version = ""
        """From which resource version on it watches; empty where everything is to be listed first."""

    def why_cut(self, *, for_seconds: float) -> str | None:
        """Return what has kept anything from being told for so long; None where nothing has."""
        if self._cut_at is None or (seconds := self._pace.timer() - self._cut_at) < for_seconds:
            return None
        return f"{self.kind}{self._where} cannot be watched, for {seconds:.0f} s now: {self._cut_by}"

    def stream(self) -> AsyncIterator[JsonObject]:
        """Yield what happens after the present version."""
        raise NotImplementedError

    async def read(self) -> str:
        """Take up what is there; return the resource version as of which it is."""
        raise NotImplementedError

    def take(self, kind: str, body: JsonObject) -> None:
        """Take up an event: ADDED, MODIFIED, DELETED, or BOOKMARK, which tells a version alone."""
        raise NotImplementedError

    async def run(self) -> None:
        """Watch until cancelled, whatever happens on the way."""
        while True:
            try:
                if not self.version:
                    self.version = await self.read()
                await self._watch()
            except ExpiredError:
                _log.info("the watch of %s%s is too far behind: they are listed anew", self.kind, self._where)
                self.version = ""
            except Exception as error:  # noqa: BLE001 (whatever it is, a new process would do no better)
                await self._pause(error)

    async def _watch(self) -> None:
        """Take events until the API server ends the stream, as it does every few minutes.

        Raises ConnectionError where somebody in between, such as a proxy, ends it at once.
        """
        began, told = self._pace.timer(), False
        async for event in self.stream():
            self._take(event)
            self._failures, self._cut_at, told = 0, None, True
        if not told and self._pace.timer() - began < _SHORTEST_WATCH:
            raise ConnectionError("the stream ended as soon as it was opened")
        self._cut_at = None

    def _take(self, event: JsonObject) -> None:
        kind, body = str(event["type"]), event["object"]
        if kind == "ERROR":
            if body.get("code") == _GONE:
                raise ExpiredError
            raise ApiException(status=body.get("code"), reason=body.get("message"), body=json.dumps(body))
        self.version = body["metadata"]["resourceVersion"]  # first: one that cannot be taken up is not to come again
        self.take(kind, body)

    async def _pause(self, error: Exception) -> None:
        """Wait before trying again: half a second, then twice as long each time, up to half a minute."""
        if isinstance(error, ApiException) and error.status == _GONE:
            self.version = ""
            return
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 8)) * (0.5 + self._pace.chance() / 2)
        self._failures += 1
        self._cut_by = why_failed(error)
        if self._cut_at is None:
            self._cut_at = self._pace.timer()
        _log.warning("the watch of %s%s was cut: %s; going on in %.1f s", self.kind, self._where, self._cut_by, seconds)
        await self._pace.sleep(seconds)

    @property
    def _where(self) -> str:
        return f" in {self.namespace}" if self.namespace else ""


class JobWatch(Watch):
    """Puts Jobs into the store as they change."""

    kind = "Jobs"

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        namespace: str | None = None,
        observe: Callable[[str, str | None, str], None] = lambda _resource, _kind, _version: None,
        pace: Pace = _USUAL,
    ) -> None:
        super().__init__(kube=kube, namespace=namespace, pace=pace)
        self._store = store
        self._observe = observe

    def stream(self) -> AsyncIterator[JsonObject]:
        """Yield what happens to Jobs."""
        return self.kube.watch_jobs(self.version, self.namespace)

    async def read(self) -> str:
        """Put all Jobs into the store, and have it forget those that are gone."""

        def put(body: JsonObject) -> None:
            self._observe("jobs", None, "")
            self._store.put_job(body)

        return await list_jobs(self.kube, self._store, self.namespace, put=put)

    def take(self, kind: str, body: JsonObject) -> None:
        """Put a Job into the store, or have it forget one."""
        self._observe("jobs", kind, body["metadata"]["resourceVersion"])
        if kind == "DELETED":
            self._store.remove_job(body)
        elif kind != "BOOKMARK":
            self._store.put_job(body)


class FailedPodWatch(Watch):
    """Tells of each pod of a run that fails, while it is there.

    A pod that somebody takes away is gone in the second in which it ends, before the Job's status says anything; and
    where it was evicted, the status never does. One that ends well costs nothing.
    """

    kind = "failed pods"

    def __init__(
        self,
        *,
        kube: Kube,
        tell: Callable[[JsonObject], None],
        namespace: str | None = None,
        pace: Pace = _USUAL,
    ) -> None:
        super().__init__(kube=kube, namespace=namespace, pace=pace)
        self._tell = tell

    def stream(self) -> AsyncIterator[JsonObject]:
        """Yield what happens to pods that have failed."""
        return self.kube.watch_failed_pods(self.version, self.namespace)

    async def read(self) -> str:
        """Take up none: those that are there yet are looked at by who needs them."""
        return await self.kube.pods_version(self.namespace)

    def take(self, kind: str, body: JsonObject) -> None:
        """Tell of a pod."""
        if kind in ("ADDED", "MODIFIED"):
            self._tell(body)
