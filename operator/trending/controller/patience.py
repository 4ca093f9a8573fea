"""Requests that are sent again: where the API server asks for it, fails for the moment, or does not answer.

Each of the controller's requests may be sent twice, should the answer to the first be lost: a Job's name and an event's
name exist once, a status carries the resource version that it was decided on, a deletion the uid.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

_T = TypeVar("_T")

_PASSING: Final = frozenset({429, 500, 502, 503, 504})
"""Too many requests; etcd has no leader for the moment; the API server is starting, stopping, or slow."""
_LONGEST_WISH: Final = 10.0
"""Seconds: an API server that asks for more time than that is asked again by a later pass."""


class UnreachableError(ConnectionError):
    """The API server does not answer, also not when asked again."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a request is sent, and how long is waited in between: 0.2, 0.4, 0.8, 1.6 seconds, up to half of each
    left to chance, and what Retry-After says at least."""

    tries: int = 5
    first: float = 0.2
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    async def call(self, send: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `send` returns.

        Raises ApiException where it is refused for good or to the end; UnreachableError where there is no answer. With
        a single try all errors come as they are.
        """
        pause = self.first
        for left in range(self.tries - 1, -1, -1):
            try:
                return await send()
            except ApiException as error:
                wish = _retry_after(error)
                if not left or error.status not in _PASSING or wish > _LONGEST_WISH:
                    raise
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
                if self.tries == 1:
                    raise
                if not left or isinstance(error, TimeoutError):  # it has been waited for half a minute already
                    told = str(error) or type(error).__name__
                    raise UnreachableError(f"the API server does not answer: {told}") from error
                wish = 0.0
            await self.sleep(max(wish, pause * (0.5 + self.chance() / 2)))
            pause *= 2
        raise AssertionError  # the last try returns or raises


def _retry_after(error: ApiException) -> float:
    """Return for how many seconds the API server asks; 0 where it does not."""
    headers = error.headers or {}
    try:
        return float(headers.get("Retry-After") or 0)
    except ValueError:  # a date, which the API server never writes
        return 0.0
