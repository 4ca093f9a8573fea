"""Every kopf decorator, each handler a few lines: what arrives is put into the store, and the scheduler task does the
rest.

Only `on.event` is used: it needs no finalizer, no annotation and no patch, so that a schedule can be deleted when the
operator is gone.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import kopf

from trending.api.names import GROUP, MANAGED_BY, PLURAL, VERSION
from trending.controller.health import serving_health
from trending.controller.operator import NotReadyError, Operator
from trending.controller.settings import Settings
from trending.controller.store import Key

_START_AGAIN_SECONDS = 5.0
_PAGE = 500
"""kopf reads a list in pieces of so many objects; all ten thousand at once would be 90 MiB for a moment."""
_IDLE_SECONDS = 0.5
"""kopf keeps an object as it came, and a task for it, until nothing has been heard of it for so long."""

registry = kopf.OperatorRegistry()


class _Patience:
    """How long kopf waits before it asks again, in seconds, without end.

    When it gives up a watch it ends the whole process; yet one namespace that may not be read is no reason to serve
    the others no more, nor is an API server that is away for a while.
    """

    def __iter__(self) -> Iterator[float]:
        return chain((1, 1, 2, 3, 5, 8, 13, 21), repeat(30))


class _NothingToCompare(kopf.AnnotationsDiffBaseStorage):
    """No handler asks what has changed since it last handled an object, and kopf would copy each one to find out."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ARG002 (kopf names them)
        return kopf.BodyEssence()


@kopf.on.startup(registry=registry)
async def configure(settings: kopf.OperatorSettings, memo: Operator, **_: Any) -> None:
    """Have kopf watch and nothing else, then start."""
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 30
    settings.watching.chunk_size = _PAGE
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Patience()
    settings.persistence.finalizer = f"{GROUP}/{MANAGED_BY}"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NothingToCompare(prefix=GROUP)
    try:
        await memo.start()
    except NotReadyError as error:
        raise kopf.TemporaryError(str(error), delay=_START_AGAIN_SECONDS) from None
    if threading.current_thread() is threading.main_thread():
        # In place of kopf's own: it ends its watches first, for some seconds, in which nobody would lead.
        for told in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(told, memo.stop)


@kopf.on.cleanup(registry=registry)
async def close(memo: Operator, **_: Any) -> None:
    """Stop the scheduler and close its connections."""
    await memo.close()


@kopf.on.login(registry=registry)
async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in as the pod's service account, else as the kubeconfig says."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


@kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
async def schedule_changed(event: kopf.RawEvent, memo: Operator, **_: Any) -> None:
    """Take up a schedule as it is now, or that it is gone."""
    memo.metrics.observe_watch(PLURAL, event["type"], event["object"]["metadata"]["resourceVersion"])
    body: dict[str, Any] = dict(event["object"])
    if event["type"] == "DELETED":
        metadata = body["metadata"]
        key, version = Key(metadata["namespace"], metadata["name"]), int(metadata["resourceVersion"])
        memo.store.remove_schedule(key, uid=metadata["uid"], version=version)
    else:
        memo.store.put_schedule(body)


async def run(settings: Settings) -> bool:
    """Run the controller until it is told to stop; False where it had to give up."""
    stop = asyncio.Event()
    operator = Operator(settings, stop=stop)
    health = serving_health(port=settings.health_port, live=operator.why_not_live, ready=operator.why_not_ready)
    with operator.metrics.served(settings.metrics_port):
        async with health:
            await kopf.operator(
                registry=registry,
                memo=operator,
                standalone=True,
                clusterwide=not settings.watch_namespaces,
                namespaces=settings.watch_namespaces,
                stop_flag=stop,
            )
    return not operator.failed
