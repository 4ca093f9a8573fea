"""The controller's parts put together, and what keeps them running."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import Kube, why_failed
from trending.controller.leadership import Leadership, seconds_since_boot
from trending.controller.listing import Listing, NotListedError
from trending.controller.metrics import Metrics
from trending.controller.ready import Urgency
from trending.controller.reconcile import Reconciler
from trending.controller.scheduler import Scheduler, utc_now
from trending.controller.settings import Settings
from trending.controller.store import Key, Store
from trending.controller.watching import FailedPodWatch, JobWatch, Pace

_log = logging.getLogger(__name__)

_LAST_PASSES_SECONDS: Final = 5.0
"""How long passes have to come to their end when the process is told to: far less than Kubernetes gives it."""
_LIST_AGAIN_SECONDS: Final = 1.0
_LIST_AGAIN_AFTER_GIVING_UP_SECONDS: Final = 5.0
_LISTS_AS_LEADER_SECONDS: Final = 10.0
"""How long a leader tries to list everything before it lets another try: longer than a moment of the API server's."""
_RESYNC_AGAIN_SECONDS: Final = 30.0
"""After a listing that failed: what was missing may be there by then."""
_RESYNCS_MISSED: Final = 2
"""For as many times `resync_seconds` nothing is listed, or told by a watch, before that is no passing trouble."""
_ANSWER_SECONDS: Final = 3.0
"""A probe waits for five."""
_TRANSPORT_ERRORS: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)


class NotReadyError(Exception):
    """The cluster is not as the operator needs it; the text says what is missing."""


class Operator:
    """What lives as long as the process: the store, the scheduler task, the periodic listing, the part in the
    election.

    A controller that stands by knows everything and writes nothing. One that loses the lead drops all that it was at
    and stands by again; what it knows then is made good by a new listing before it leads the next time.
    """

    def __init__(
        self, settings: Settings, *, stop: asyncio.Event, clock: Callable[[], float] = seconds_since_boot
    ) -> None:
        self.settings = settings
        self._clock = clock
        self.failed = False
        self._stop = stop
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None
        self._kube: Kube | None = None
        self._lease_kube: Kube | None = None
        self._leadership: Leadership | None = None
        self._scheduler: Scheduler | None = None
        self._listing: Listing | None = None
        self._watches: list[JobWatch] = []
        self._must_list = False
        self.store = Store(changed=self._touch)
        self.metrics = Metrics(self.store, decides=self.decides)

    def __copy__(self) -> "Operator":
        """Return itself: kopf copies its memo for each object, and there is one operator."""
        return self

    async def start(self) -> None:
        """Read everything once, then start the scheduler: decisions on half of the Jobs would be wrong.

        Raises NotReadyError where the API server does not answer, the resource is not installed or the service
        account may not read.
        """
        identity = self.settings.instance
        kube = self._kube = await Kube.connect(who=identity)
        kube.answered, kube.wrote = self.metrics.observe_request, self.metrics.observe_write
        self.metrics.observe_queue(lambda: self._scheduler.depth if self._scheduler else 0)
        self._listing = Listing(
            kube=kube, store=self.store, namespaces=self.settings.watch_namespaces, clock=self._clock
        )
        try:
            await self.resync()
        except (NotListedError, *_TRANSPORT_ERRORS):
            await kube.close()
            raise NotReadyError(self._listing.failed_by) from None
        _log.info("watching %d schedules", len(self.store))
        if self.settings.leader_election:
            # On connections of its own: a renewal must not wait behind a thousand Jobs.
            self._lease_kube = await Kube.connect(who=identity)
            self._leadership = Leadership(
                kube=self._lease_kube,
                namespace=self.settings.namespace,
                name=self.settings.lease_name,
                identity=identity,
                clock=self._clock,
            )
            kube.before_writing = self._leadership.check
            self._supervise(self._lead_in_turn(self._leadership), "leadership")
        else:
            self._supervise(self._lead(), "scheduler")
        self._supervise(self._resync_for_ever(), "resync")
        for namespace in self._namespaces:
            watch = JobWatch(
                kube=kube,
                store=self.store,
                namespace=namespace,
                observe=self.metrics.observe_watch,
                pace=Pace(timer=self._clock),
            )
            watch.version = self._listing.job_versions.get(namespace, "")
            self._watches.append(watch)
            self._supervise(watch.run(), "watch of Jobs")

    def stop(self) -> None:
        """Close, so that another may lead, and then have the rest of the process end, which takes its time."""
        if not self._closing:
            self._closing = asyncio.create_task(self._close(), name="closing")
            self._closing.add_done_callback(lambda _: self._stop.set())

    async def close(self) -> None:
        """Let passes come to their end, give the lead to another, stop the tasks and close the connections."""
        if not self._closing:
            self._closing = asyncio.create_task(self._close(), name="closing")
        await self._closing

    async def _close(self) -> None:
        if self._scheduler:
            await self._scheduler.finish(_LAST_PASSES_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._leadership:
            await self._leadership.release()
        for kube in filter(None, (self._kube, self._lease_kube)):
            await kube.close()

    def decides(self) -> bool:
        """Tell whether this controller has read everything and leads."""
        return self._scheduler is not None

    async def why_not_live(self) -> str | None:
        """Return what ails the process so that only a new one helps: a task that is dead or stuck."""
        dead = [task.get_name() for task in self._tasks if task.done() and not task.cancelled()]
        if dead:
            return f"the {dead[0]} task is dead"
        if self._scheduler and not self._scheduler.is_alive():
            return "the scheduler task is stuck"
        return None

    async def why_not_ready(self) -> str | None:
        """Return what keeps this controller from doing its part, be it to lead or to stand by."""
        if not self._tasks or self._kube is None:
            return "nothing has been listed yet"
        if self._closing:
            return "the process is stopping"
        if trouble := await self.why_not_live() or self._why_not_informed():
            return trouble
        if self._leadership:
            return None if self._leadership.is_informed() else "the Lease can be neither read nor written"
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._kube.get_version()
        except _TRANSPORT_ERRORS as error:
            return f"the API server does not answer: {why_failed(error)}"
        return None

    def _why_not_informed(self) -> str | None:
        """Return why this controller does not know how things are; of several namespaces one that can be read is
        enough, and what keeps the others from being read is in the log."""
        if self._listing is None:
            return None
        if self._must_list:
            return f"everything has to be listed before it leads: {self._why_not_listed or 'that is under way'}"
        long = _RESYNCS_MISSED * self.settings.resync_seconds
        cut = [watch.why_cut(for_seconds=long) for watch in self._watches]
        return self._listing.why_old(seconds=long) or (cut[0] if cut and all(cut) else None)

    async def resync(self) -> None:
        """List everything and repair what watches missed, things gone included."""
        if self._listing is None:
            raise RuntimeError("the operator lists only once it is connected")
        await self._listing.resync()
        self.metrics.observe_listing()

    @property
    def _why_not_listed(self) -> str | None:
        return self._listing.failed_by if self._listing else None

    async def _lead_in_turn(self, leadership: Leadership) -> None:
        """Stand by until the lead is ours, lead until it is lost, and so on.

        One that cannot list everything gives the lead back: where its way to the API server is bad, another's may be
        good. It applies for it again once it has listed everything, so that where nobody can, the lead is nobody's, and
        does not go round.
        """
        while True:
            _log.info("standing by as %s", leadership.identity)
            await leadership.acquire()
            _log.info("leading as %s", leadership.identity)
            work = asyncio.create_task(self._list_and_lead(), name="scheduler")
            held = asyncio.create_task(leadership.hold(), name="renewal")
            try:
                await asyncio.wait((work, held), return_when=asyncio.FIRST_COMPLETED)
                if cannot_list := work.done():
                    await work  # where it ends by an error, so does this
            finally:
                for task in (work, held):
                    task.cancel()
                await asyncio.gather(work, held, return_exceptions=True)
            if cannot_list:
                _log.warning("no longer leading: not everything can be listed from here, so another may try")
                await leadership.release()
                await self._list_everything(every=_LIST_AGAIN_AFTER_GIVING_UP_SECONDS)
            else:
                _log.warning("no longer leading: the Lease was lost or could not be renewed in time")
            self._must_list = False

    async def _list_and_lead(self) -> None:
        """Look at every schedule from now on, once everything is listed; return where it cannot be."""
        if await self._list_everything(every=_LIST_AGAIN_SECONDS, within=_LISTS_AS_LEADER_SECONDS):
            await self._lead()

    async def _list_everything(self, *, every: float, within: float = float("inf")) -> bool:
        """List everything, again after so many seconds where it fails; False where it still fails after `within`."""
        self._must_list = True
        until, told = self._clock() + within, None
        while True:
            try:
                await self.resync()
            except Exception:  # noqa: BLE001 (whatever it is, another may do better, and it is tried again)
                if (why := self._why_not_listed) != told:
                    _log.warning("listing everything before leading failed: %s", why)
                told = why
                if self._clock() >= until:
                    return False
                await asyncio.sleep(every)
            else:
                self._must_list = False
                return True

    async def _lead(self) -> None:
        """Look at every schedule from now on; everything has just been listed."""
        if self._kube is None:
            raise RuntimeError("the operator leads only once it is connected")
        self.metrics.tallies.keep(self.store.keys())  # of those that went while another led no pass has told
        reconciler = Reconciler(
            kube=self._kube,
            store=self.store,
            settings=self.settings,
            clock=utc_now,
            tallies=self.metrics.tallies,
            is_pressed=self._is_pressed,
        )
        look_at = self.metrics.timed(reconciler.reconcile)
        scheduler = Scheduler(look_at, workers=self.settings.workers, clock=utc_now, waited=self.metrics.observe_wait)
        self._scheduler = scheduler
        known = self.store.keys()
        for key in known:  # of any a slot may be due: what there is to tell of each waits until all have started
            scheduler.touch(key, self._urgency(key, otherwise=Urgency.DUE))
        watches = [self._watch_failed_pods(self._kube, reconciler, namespace) for namespace in self._namespaces]
        try:
            await scheduler.run()
        finally:
            self._scheduler = None
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    def _watch_failed_pods(self, kube: Kube, reconciler: Reconciler, namespace: str | None) -> asyncio.Task[None]:
        """Have a reconciler be told of runs' pods that fail, for as long as it leads."""
        watch = FailedPodWatch(kube=kube, tell=reconciler.pod_failed, namespace=namespace)
        task: asyncio.Task[None] = asyncio.create_task(watch.run(), name="watch of failed pods")
        task.add_done_callback(self._ended)
        return task

    @property
    def _namespaces(self) -> Sequence[str | None]:
        """Which namespaces are watched; None names all."""
        return self.settings.watch_namespaces or (None,)

    async def _resync_for_ever(self) -> None:
        pause = self.settings.resync_seconds
        while True:
            await asyncio.sleep(pause)
            pause = self.settings.resync_seconds
            try:
                await self.resync()
            except Exception:  # noqa: BLE001 (whatever it is, watches go on, and it is tried again)
                _log.warning("listing everything anew failed: %s", self._why_not_listed)
                pause = min(pause, _RESYNC_AGAIN_SECONDS)

    def _touch(self, key: Key) -> None:
        if self._scheduler:
            self._scheduler.touch(key, self._urgency(key, otherwise=Urgency.CHANGED))

    def _urgency(self, key: Key, *, otherwise: Urgency) -> Urgency:
        return Urgency.REQUESTED if self.store.is_asked(key) else otherwise

    def _is_pressed(self) -> bool:
        return self._scheduler is not None and self._scheduler.is_pressed()

    def _supervise(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task that must not end; where it does, end the process, so that Kubernetes starts it anew."""
        task: asyncio.Task[None] = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failed = True
            _log.critical("the %s task has ended: %r", task.get_name(), task.exception())
            self.stop()
