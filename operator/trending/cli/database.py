"""The database that a command by hand works on: how it is given, and how it is reached."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import psycopg
from psycopg.conninfo import make_conninfo

from trending.cli.job_document import read_access, read_document
from trending.runner.access import Access, from_uri
from trending.runner.failure import ConfigurationError
from trending.runner.session import AS_WRITTEN, ENCODING

VARIABLE: Final = "TRENDING_DATABASE_URI"
ORIGIN: Final = "the URI given by hand"

option: Final[Callable[[Any], Any]] = click.option(
    "--database",
    metavar="URI",
    envvar=VARIABLE,
    show_envvar=True,
    help="The database. Arguments can be seen by every user of this machine (ps): better set the variable.",
)


def access(uri: str | None) -> Access:
    """Return what opens the database. Raises ConfigurationError where none is given or the URI is none."""
    if not uri:
        raise ConfigurationError(f"no database is given: set {VARIABLE}, or write --database URI")
    return from_uri(uri, origin=ORIGIN)


class UnfitError(click.ClickException):
    """Something has to be changed first: exit code 2. Where trying again may help it is click's own, 1."""

    exit_code = 2


def of_uri(uri: str | None) -> Access:
    """Return what opens the database. Raises UnfitError where none is given or the URI is none."""
    try:
        return access(uri)
    except ConfigurationError as error:
        raise UnfitError(str(error)) from None


def of_document(path: Path) -> Access:
    """Return what opens the database that a Job's pod is told of. Raises UnfitError."""
    try:
        return read_access(path, read_document(path))
    except ConfigurationError as error:
        raise UnfitError(str(error)) from None


@contextmanager
def connected(uri: str | None, *, purpose: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect, in autocommit mode. Raises click.ClickException with a sentence for whatever the driver raises."""
    with connected_to(of_uri(uri), purpose=purpose) as connection:
        yield connection


@contextmanager
def connected_to(place: Access, *, purpose: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect, in autocommit mode. Raises click.ClickException with a sentence for whatever the driver raises."""
    options = " ".join(f"-c {name}={value}" for name, value in AS_WRITTEN.items())
    own = {"application_name": f"trending/{purpose}", "client_encoding": ENCODING, "options": options}
    try:
        conninfo = make_conninfo(**({"connect_timeout": "10"} | place.parameters | own))
        with psycopg.connect(conninfo, autocommit=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise click.ClickException(f"{place.place}: {place.redactor.driver_text(error)}") from None
