"""The controller's parts put together, and what keeps them running."""

import asyncio
import logging
from typing import Any

from kubernetes.aio.client.exceptions import ApiException

from trending.api.names import GROUP, PLURAL
from trending.controller.kube import Kube, reason_of
from trending.controller.metrics import Metrics
from trending.controller.reconcile import Reconciler
from trending.controller.scheduler import Scheduler, utc_now
from trending.controller.settings import Settings
from trending.controller.store import Key, Store

_log = logging.getLogger(__name__)

_NOT_FOUND = 404


class NotReadyError(Exception):
    """The cluster is not as the operator needs it; the text says what is missing."""


class Operator:
    """What lives as long as the process: the store, the scheduler task, the periodic listing."""

    def __init__(self, settings: Settings, *, stop: asyncio.Event) -> None:
        self.settings = settings
        self.failed = False
        self._stop = stop
        self._tasks: list[asyncio.Task[None]] = []
        self._kube: Kube | None = None
        self._scheduler: Scheduler | None = None
        self.store = Store(changed=self._touch)
        self.metrics = Metrics(self.store, decides=self.decides)

    async def start(self) -> None:
        """Read everything once, then start the scheduler: decisions on half of the Jobs would be wrong.

        Raises NotReadyError where the resource is not installed or the service account may not read.
        """
        self._kube = await Kube.connect()
        self._kube.answered = self.metrics.observe_request
        reconciler = Reconciler(
            kube=self._kube, store=self.store, settings=self.settings, clock=utc_now, tallies=self.metrics.tallies
        )
        look_at = self.metrics.timed(reconciler.reconcile)
        self._scheduler = Scheduler(look_at, workers=self.settings.workers, clock=utc_now)
        self.metrics.observe_queue(lambda: self._scheduler.depth if self._scheduler else 0)
        try:
            await self.resync()
        except ApiException as error:
            await self._kube.close()
            raise NotReadyError(_why_not_listed(error)) from None
        _log.info("watching %d schedules", len(self.store))
        self._supervise(self._scheduler.run(), "scheduler")
        self._supervise(self._resync_for_ever(), "resync")

    async def close(self) -> None:
        """Stop the tasks and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._kube:
            await self._kube.close()

    def decides(self) -> bool:
        """Tell whether this controller has read everything and decides."""
        return bool(self._tasks)

    def is_healthy(self) -> bool:
        """Tell whether the scheduler task lives and goes round."""
        return (
            bool(self._tasks)
            and not any(task.done() for task in self._tasks)
            and self._scheduler is not None
            and self._scheduler.is_alive()
        )

    async def resync(self) -> None:
        """List everything and repair what watches missed, things gone included."""
        if self._kube is None:
            raise RuntimeError("the operator lists only once it is connected")
        version, keys, uids = 0, [], []
        async for page, listed in self._kube.schedules():
            version = int(listed)
            for body in page:
                self.store.put_schedule(body)
                keys.append(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
        self.store.keep_schedules(keys, version)
        version = 0
        async for page, listed in self._kube.jobs():
            version = int(listed)
            for body in page:
                self.store.put_job(body)
                uids.append(body["metadata"]["uid"])
        self.store.keep_jobs(uids, version)

    async def _resync_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.settings.resync_seconds)
            try:
                await self.resync()
            except Exception as error:  # noqa: BLE001 (whatever it is, watches go on, and it is tried again)
                _log.warning("listing everything anew failed: %s: %s", type(error).__name__, error)

    def _touch(self, key: Key) -> None:
        if self._scheduler:
            self._scheduler.touch(key)

    def _supervise(self, coroutine: Any, name: str) -> None:
        """Run a task that must not end; where it does, end the process, so that Kubernetes starts it anew."""
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failed = True
            _log.critical("the %s task has ended: %r", task.get_name(), task.exception())
            self._stop.set()


def _why_not_listed(error: ApiException) -> str:
    if error.status == _NOT_FOUND:
        return (
            f"the resource {PLURAL}.{GROUP} is not installed: install the chart, or `trending crd | kubectl apply -f -`"
        )
    return f"schedules and Jobs cannot be listed: {reason_of(error)}"
