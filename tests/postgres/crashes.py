"""A server that loses a backend by SIGKILL: it ends all others and recovers, as after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.postgres.server import PostgresServer
from tests.waiting import until

_LOST = "was terminated by signal 9"
_READY = "database system is ready to accept connections"


@contextmanager
def recovered_from(server: PostgresServer) -> Iterator[None]:
    """Within, a backend is killed; afterwards the server has noticed that, and has recovered from it.

    It may notice long after the killed one's runner: until then it still lets others in, only to end them.
    """
    before = len(_after_each_loss(server))
    yield
    until(
        lambda: len(after := _after_each_loss(server)) > before and _READY in after[-1],
        what="the server recovers",
        pause=0.02,
    )
    until(lambda: _answers(server), what="the server that has recovered answers", pause=0.02)


def _after_each_loss(server: PostgresServer) -> list[str]:
    """Return what the server logged after each loss of a backend, up to the next."""
    return (server.folder / "log").read_text(errors="replace").split(_LOST)[1:]


def _answers(server: PostgresServer) -> bool:
    try:
        with server.connect("postgres") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
