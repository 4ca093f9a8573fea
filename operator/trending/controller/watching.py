"""The watch of Jobs: a stream from the API server, of which only what a decision looks at is kept.

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
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import JsonObject, Kube, why_failed
from trending.controller.store import Store

_log = logging.getLogger(__name__)

_GONE: Final = 410
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_SHORTEST_WATCH: Final = 1.0
"""Seconds: a stream that ends sooner and has told nothing was not meant to last, so another is not opened at once."""
_TROUBLES: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError)


class ExpiredError(Exception):
    """The API server does not remember what has happened since; everything has to be listed anew."""


class JobWatch:
    """Puts Jobs into the store as they change, in one namespace or in all."""

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        namespace: str | None = None,
        observe: Callable[[str, str | None, str], None] = lambda _resource, _kind, _version: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._store = store
        self._namespace = namespace
        self._observe = observe
        self._sleep = sleep
        self._chance = chance
        self._timer = timer
        self._failures = 0
        self._cut_at: float | None = None
        self._cut_by = ""
        self.version = ""
        """From which resource version on it watches; empty where everything is to be listed first."""

    def why_cut(self, *, for_seconds: float) -> str | None:
        """Return what has kept anything from being told for so long; None where nothing has."""
        if self._cut_at is None or (seconds := self._timer() - self._cut_at) < for_seconds:
            return None
        return f"Jobs{self._where} cannot be watched, for {seconds:.0f} s now: {self._cut_by}"

    async def run(self) -> None:
        """Watch until cancelled, whatever happens on the way."""
        while True:
            try:
                if not self.version:
                    await self._list()
                await self._watch()
            except ExpiredError:
                _log.info("the watch of Jobs%s is too far behind: they are listed anew", self._where)
                self.version = ""
            except _TROUBLES as error:
                await self._pause(error)

    async def _watch(self) -> None:
        """Take events until the API server ends the stream, as it does every few minutes.

        Raises ConnectionError where somebody in between, such as a proxy, ends it at once.
        """
        began, told = self._timer(), False
        async for event in self._kube.watch_jobs(self.version, self._namespace):
            self._take(event)
            self._failures, self._cut_at, told = 0, None, True
        if not told and self._timer() - began < _SHORTEST_WATCH:
            raise ConnectionError("the stream ended as soon as it was opened")
        self._cut_at = None

    def _take(self, event: JsonObject) -> None:
        kind, body = str(event["type"]), event["object"]
        if kind == "ERROR":
            if body.get("code") == _GONE:
                raise ExpiredError
            raise ApiException(status=body.get("code"), reason=body.get("message"), body=json.dumps(body))
        self._observe("jobs", kind, body["metadata"]["resourceVersion"])
        if kind == "DELETED":
            self._store.remove_job(body)
        elif kind != "BOOKMARK":
            self._store.put_job(body)
        self.version = body["metadata"]["resourceVersion"]

    async def _list(self) -> None:
        version, uids = "", []
        async for page, listed in self._kube.jobs(self._namespace):
            version = listed
            for body in page:
                self._observe("jobs", None, "")
                self._store.put_job(body)
                uids.append(body["metadata"]["uid"])
        self._store.keep_jobs(uids, int(version), namespace=self._namespace)
        self.version = version

    async def _pause(self, error: Exception) -> None:
        """Wait before trying again: half a second, then twice as long each time, up to half a minute."""
        if isinstance(error, ApiException) and error.status == _GONE:
            self.version = ""
            return
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 8)) * (0.5 + self._chance() / 2)
        self._failures += 1
        self._cut_by = why_failed(error)
        if self._cut_at is None:
            self._cut_at = self._timer()
        _log.warning("the watch of Jobs%s was cut: %s; going on in %.1f s", self._where, self._cut_by, seconds)
        await self._sleep(seconds)

    @property
    def _where(self) -> str:
        return f" in {self._namespace}" if self._namespace else ""
