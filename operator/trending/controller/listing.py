"""Everything that is watched, read into the store: at the start, at a change of leaders, and from time to time.

It repairs what watches missed, things gone included. With a list of namespaces each is listed for itself, so that
rights in these are enough, and one that is not there or may not be read keeps none of the others waiting.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from kubernetes.aio.client.exceptions import ApiException

from trending.api.names import GROUP, PLURAL
from trending.controller.kube import JsonObject, Kube, reason_of, why_failed
from trending.controller.store import Key, Store

_log = logging.getLogger(__name__)

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CANNOT: Final = "schedules and Jobs cannot be listed"


class NotListedError(Exception):
    """Nothing could be listed; the text says what is missing."""


class Listing:
    """Lists schedules and Jobs of the given namespaces, of all where none are given."""

    def __init__(self, *, kube: Kube, store: Store, namespaces: Sequence[str], clock: Callable[[], float]) -> None:
        """`clock` counts seconds."""
        self._kube = kube
        self._store = store
        self._namespaces = tuple(namespaces)
        self._clock = clock
        self._listed_at = float("-inf")
        self._trouble: dict[str, str] = {}
        self.failed_by: str | None = None
        """What went wrong when everything was to be listed the last time, in a sentence; None where nothing did."""
        self.job_versions: dict[str | None, str] = {}
        """The resource version of each namespace's newest list of Jobs; None names all namespaces."""
        self._lock = asyncio.Lock()

    async def resync(self) -> None:
        """List everything and repair what watches missed.

        Raises NotListedError where the resource is not installed or no namespace may be read; ApiException and the
        transport's errors where the API server does not answer as it should.
        """
        async with self._lock:
            try:
                await self._list_all()
            except NotListedError as error:
                self.failed_by = str(error)
                raise
            except Exception as error:
                self.failed_by = f"{_CANNOT}: {why_failed(error)}"
                raise
            self._listed_at, self.failed_by = self._clock(), None

    def why_old(self, *, seconds: float) -> str | None:
        """Return why the last time that everything was listed is longer ago than that; None where it is not, or where
        nothing has gone wrong."""
        ago = self._clock() - self._listed_at
        return (
            f"everything was last listed {ago:.0f} s ago: {self.failed_by}"
            if self.failed_by and ago > seconds
            else None
        )

    async def _list_all(self) -> None:
        if self._namespaces:
            await self._each_namespace()
        else:
            try:
                await self._list(None)
            except ApiException as error:
                if error.status not in (_FORBIDDEN, _NOT_FOUND):
                    raise
                raise NotListedError(_why_not(error)) from None
        self._store.forget_gone()

    async def _each_namespace(self) -> None:
        refused = 0
        for namespace in self._namespaces:
            trouble = ""
            try:
                await self._list(namespace)
            except ApiException as error:
                if error.status == _NOT_FOUND:
                    raise NotListedError(_why_not(error)) from None
                if error.status != _FORBIDDEN:
                    raise
                refused += 1
                trouble = (
                    f"{_why_not(error)}; create the namespace, or give the controller's service account a Role in it"
                )
            if await self._is_missing(namespace):
                trouble = "there is no such namespace; its schedules are taken up once it is there"
            self._tell(namespace, trouble)
        if refused == len(self._namespaces):
            raise NotListedError(
                "no namespace of TRENDING_WATCH_NAMESPACES can be read: "
                + "; ".join(f"{namespace}: {self._trouble[namespace]}" for namespace in self._namespaces)
            )

    def _tell(self, namespace: str, trouble: str) -> None:
        """Log what is wrong with a namespace, and that all is well again, once."""
        before = self._trouble.get(namespace, "")
        if trouble and trouble != before:
            _log.error("namespace %s: %s", namespace, trouble)
        elif before and not trouble:
            _log.info("namespace %s: it can be read now", namespace)
        self._trouble[namespace] = trouble

    async def _is_missing(self, namespace: str) -> bool:
        try:
            await self._kube.get_namespace(namespace)
        except ApiException as error:
            return bool(error.status == _NOT_FOUND)  # that it may not be asked for is no fault: nothing else needs that
        return False

    async def _list(self, namespace: str | None) -> None:
        version, keys = 0, []
        async for page, listed in self._kube.schedules(namespace):
            version = int(listed)
            for body in page:
                self._store.put_schedule(body)
                keys.append(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
        self._store.keep_schedules(keys, version, namespace=namespace)
        self.job_versions[namespace] = await list_jobs(self._kube, self._store, namespace, put=self._store.put_job)


async def list_jobs(kube: Kube, store: Store, namespace: str | None, *, put: Callable[[JsonObject], None]) -> str:
    """Have `put` put each Job into a store, which forgets those that are gone; return the list's resource version."""
    version, uids = "", []
    async for page, listed in kube.jobs(namespace):
        version = listed
        for body in page:
            put(body)
            uids.append(body["metadata"]["uid"])
    store.keep_jobs(uids, int(version), namespace=namespace)
    return version


def _why_not(error: ApiException) -> str:
    if error.status == _NOT_FOUND:
        return (
            f"the resource {PLURAL}.{GROUP} is not installed: install the chart, or `trending crd | kubectl apply -f -`"
        )
    return f"{_CANNOT}: {reason_of(error)}"
