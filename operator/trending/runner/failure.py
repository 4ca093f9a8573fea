"""What ends a run or a target: a sentence, the word for programs, and whether trying again may help."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

import psycopg

from trending.report.model import RunReason
from trending.runner.redact import Redactor

_CONFIGURATION_CLASS: Final = "42"
"""SQLSTATE class of names, syntax and rights: somebody has to change something first."""
_DATA_CLASSES: Final = ("21", "22", "23")
"""Classes of data that break the query or the table's constraints: the same data would break them again."""
_LOST_STATES: Final = ("57P01", "57P02", "57P03")
"""The server ends the session, or does not take one yet; class 08 is a connection's failure too."""


class RunError(Exception):
    """A failure told in one sentence that is free of secrets; another attempt may succeed."""

    reason: RunReason = "RunFailed"
    retry: bool = True
    """Whether another attempt of the same run may succeed: exit code 1 instead of 2."""

    def __init__(self, sentence: str, *, server: psycopg.Error | None = None) -> None:
        """`server` is what the server answered; only the redactor may quote it (see `with_answer`)."""
        super().__init__(sentence)
        self._server = server

    def with_answer(self, redactor: Redactor) -> Self:
        """Return this error with the server's answer at its end, where there is one."""
        return type(self)(f"{self}: {redactor.driver_text(self._server)}") if self._server else self


class ConfigurationError(RunError):
    """Somebody has to change the schedule, the Secret or the database first."""

    reason = "ConfigurationError"
    retry = False


class UnreachableError(RunError):
    """The database could not be reached, or the connection was lost."""

    reason = "ConnectionError"


class BadDataError(RunError):
    """The source's rows are not what the target can hold."""

    retry = False


class LostLocksError(RunError):
    """The session that holds the slices' locks is gone, so that another writer may have begun."""


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Note what was being done on a driver's error that passes; the innermost is what is told."""
    try:
        yield
    except psycopg.Error as error:
        error.add_note(what)
        raise


def from_driver(error: psycopg.Error, redactor: Redactor) -> RunError:
    """Turn a driver's error into ours, which begins with what was being done (see `doing`).

    Names, rights and data (classes 42, 21, 22, 23) are not worth another attempt; connections, rollbacks, resources
    (08, 40, 53, 57, no SQLSTATE at all) and whatever is not known are.
    """
    what = next(iter(getattr(error, "__notes__", [])), "the run")
    state, sentence = error.sqlstate, f"{what}: {redactor.driver_text(error)}"
    if state is None:
        return UnreachableError(sentence) if isinstance(error, psycopg.OperationalError) else RunError(sentence)
    if state.startswith("08") or state in _LOST_STATES:
        return UnreachableError(sentence)
    if state.startswith(_CONFIGURATION_CLASS):
        return ConfigurationError(sentence)
    if state.startswith(_DATA_CLASSES):
        return BadDataError(sentence)
    return RunError(sentence)
