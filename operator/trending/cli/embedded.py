"""A PostgreSQL of one's own for a command: from the wheel, with the tables of the user's SQL, and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg

from trending.embedded.binaries import EmbeddedError
from trending.embedded.server import EmbeddedServer, embedded_server
from trending.runner.failure import ConfigurationError
from trending.runner.migrate import migrate


@contextmanager
def prepared(sql_files: tuple[Path, ...], keep: Path | None) -> Iterator[str]:
    """Yield the URI of a new server's database, after these files and the ledger's migration.

    Raises ConfigurationError where there can be no server or a file is wrong; the server is then not kept.
    """
    for file in sql_files:
        if not file.is_file():
            raise ConfigurationError(f"--sql: there is no file {file}")
    try:
        with embedded_server(keep) as server:
            for file in sql_files:
                server.run_file(file)
            with psycopg.connect(server.uri, autocommit=True) as connection:
                migrate(connection, say=_nothing)
                connection.execute("ANALYZE")
            yield server.uri
    except EmbeddedError as error:
        raise ConfigurationError(str(error)) from None
    if keep is not None:
        tell_how_to_go_on(server)


def tell_how_to_go_on(server: EmbeddedServer, say: Callable[[str], None] | None = None) -> None:
    """Say, on standard error by default, how a server that is kept is reached and stopped."""
    tell = say or (lambda text: click.echo(text, err=True))
    look, stop = server.how_to_go_on
    tell(f"The server goes on in {server.folder}.")
    tell(f"  To look at it:           {look}")
    tell(f"  To run again:            trending run -f FILE --database {server.uri!r}")
    tell(f"  To stop and remove it:   {stop}")


def _nothing(_: str) -> None:
    """Hear what a migration says of itself: of a new database there is nothing to tell."""
