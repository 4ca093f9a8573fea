"""Which of several controllers leads: the one that holds a Lease, and only for as long as it can be sure of it.

The semantics are client-go's. A holder renews its Lease; the others take it once they have not seen it change for as
long as it says. Nobody compares clocks: each counts by its own, from what it has seen itself. The holder counts from
before its last renewal was sent and stops before the others may begin, so that what it has sent last arrives in time.

`kubernetes.aio.leaderelection` counts by a clock that can be set, writes local time as UTC, gives no Lease back and
waits for an answer without end; so this is our own.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from trending.controller.kube import JsonObject, Kube, why_failed
from trending.controller.scheduler import utc_now

_log = logging.getLogger(__name__)

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_NEVER: Final = float("-inf")
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Seconds. A leader that dies is followed within `lease` and `retry`, and the time to list everything anew."""

    lease: float = 8.0
    """How long the others wait for a renewal, as the Lease says."""
    renew: float = 5.5
    """How long a holder goes on without one: less, by as long as a request may be on its way."""
    retry: float = 1.5
    """How often it is renewed, and looked at by the others."""


class NotLeaderError(Exception):
    """Another controller may lead by now: nothing may be written."""


def seconds_since_boot() -> float:
    """Return a time that nobody can set, and that goes on while the process is stopped or the machine suspended."""
    return time.clock_gettime(_CLOCK)


class Leadership:
    """One candidate's part in the election."""

    def __init__(
        self,
        *,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        periods: Periods | None = None,
        clock: Callable[[], float] = seconds_since_boot,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.identity = identity
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._periods = periods or Periods()
        self._clock = clock
        self._now = now
        self._valid_until = _NEVER
        self._heard = _NEVER
        self._lease: JsonObject = {}
        self._seen: JsonObject | None = None
        self._seen_at = _NEVER
        self._told = ""

    def holds(self) -> bool:
        """Tell whether this is the leader, and nobody else can be."""
        return self._clock() < self._valid_until

    def check(self) -> None:
        """Raise NotLeaderError unless this is the leader; to be called right before each write."""
        if not self.holds():
            raise NotLeaderError(f"{self.identity} does not hold the Lease {self._where} any more")

    def is_informed(self) -> bool:
        """Tell whether the Lease has been read or written lately: else this candidate could not take over."""
        return self._clock() - self._heard < self._periods.lease + self._periods.retry

    async def acquire(self) -> None:
        """Wait until this is the leader, however long that takes."""
        while True:
            if await self._attempt(self._take, self._periods.renew):
                return
            await asyncio.sleep(self._until_next_look())

    async def hold(self) -> None:
        """Renew the Lease; return when it is lost."""
        pause = self._periods.retry
        while (left := self._valid_until - self._clock()) > 0:
            await asyncio.sleep(min(pause, left))
            left = self._valid_until - self._clock()
            # Half of the time at most, so that an answer that never comes leaves time for a second request.
            renewed = left > 0 and await self._attempt(self._renew, min(left, self._periods.renew / 2))
            pause = self._periods.retry if renewed else self._periods.retry / 4

    async def release(self) -> None:
        """Give the Lease back, so that another takes it at once; to be called when nothing is written any more."""
        if self.holds():
            self._valid_until = _NEVER
            # A renewal that was on its way may have come between the first time.
            await self._attempt(self._give_back, self._periods.retry) or await self._attempt(
                self._give_back, self._periods.retry
            )

    @property
    def _where(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def _attempt(self, what: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Try it once; what goes wrong is told when it is another thing than before, and is False."""
        try:
            async with asyncio.timeout(seconds):
                done = await what()
        except (ApiException, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._tell(f"the Lease {self._where} cannot be read or written: {why_failed(error)}")
            return False
        self._heard, self._told = self._clock(), ""
        return done

    def _tell(self, sentence: str) -> None:
        if sentence != self._told:
            _log.warning(sentence)
        self._told = sentence

    async def _take(self) -> bool:
        """Take the Lease where it is free; False where it is not."""
        lease = await self._read()
        spec = _spec_of(lease or {})
        if spec != self._seen:
            if (holder := spec.get("holderIdentity")) and holder != (self._seen or {}).get("holderIdentity"):
                _log.info("%s leads, by the Lease %s", holder, self._where)
            self._seen, self._seen_at = spec, self._clock()
        if not self._is_free(spec):
            return False
        sent = self._clock()
        try:
            if lease is None:
                metadata = {"name": self._name, "namespace": self._namespace}
                lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
                answer = await self._kube.create_lease({**lease, "spec": self._spec({})})
            else:
                answer = await self._kube.replace_lease({**lease, "spec": self._spec(spec)})
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
            return False  # another was faster
        self._keep(answer, sent)
        return True

    def _is_free(self, spec: JsonObject) -> bool:
        """Tell whether a Lease may be taken: nobody's, our own, or not renewed for as long as its holder promised."""
        if spec.get("holderIdentity", "") in ("", None, self.identity):
            return True
        return self._clock() >= self._seen_at + self._promised(spec)

    def _promised(self, spec: JsonObject) -> float:
        return float(spec.get("leaseDurationSeconds") or self._periods.lease)

    def _until_next_look(self) -> float:
        """Return when to look again: at once when the Lease runs out, so that a dead leader is followed soon."""
        left = self._seen_at + self._promised(self._seen or {}) - self._clock()
        return min(self._periods.retry, left) if left > 0 else self._periods.retry

    async def _renew(self) -> bool:
        """Renew the Lease; False where it turns out to be another's, or gone."""
        sent = self._clock()
        try:
            answer = await self._kube.replace_lease({**self._lease, "spec": self._spec(_spec_of(self._lease))})
        except ApiException as error:
            if error.status not in (_CONFLICT, _NOT_FOUND):
                raise
            # Perhaps a renewal of our own, the answer to which was lost.
            lease = await self._read()
            if lease is None or _spec_of(lease).get("holderIdentity") != self.identity:
                self._valid_until = _NEVER
                return False
            sent = self._clock()
            answer = await self._kube.replace_lease({**lease, "spec": self._spec(_spec_of(lease))})
        self._keep(answer, sent)
        return True

    async def _give_back(self) -> bool:
        lease = await self._read()
        if lease is not None and _spec_of(lease).get("holderIdentity") == self.identity:
            spec = {key: value for key, value in _spec_of(lease).items() if key != "holderIdentity"}
            await self._kube.replace_lease({**lease, "spec": spec})
        return True

    async def _read(self) -> JsonObject | None:
        try:
            return await self._kube.get_lease(self._namespace, self._name)
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def _keep(self, lease: JsonObject, sent: float) -> None:
        self._lease, self._valid_until = lease, sent + self._periods.renew

    def _spec(self, old: JsonObject) -> JsonObject:
        """Return a Lease's spec that says that this controller holds it from now on, or goes on holding it."""
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            **old,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": round(self._periods.lease),
            "renewTime": now,
        }
        if old.get("holderIdentity") != self.identity:
            spec |= {"acquireTime": now, "leaseTransitions": (old.get("leaseTransitions") or 0) + bool(old)}
        return spec


def _spec_of(lease: JsonObject) -> JsonObject:
    """Return a Lease's spec, which one that the chart has just made does not have."""
    return lease.get("spec") or {}
