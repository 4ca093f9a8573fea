"""What a preflight finds: a level, a place in the spec or the database, and a sentence with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg

from trending.runner.failure import RunError, from_driver
from trending.runner.preflight.rights import lacking_by
from trending.runner.redact import Redactor

Connection = psycopg.Connection[Any]
Level = Literal["error", "warning", "ok"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    """error: a run would fail, or fail in part. warning: it would work and cost more, or could not be looked at."""
    where: str
    """The field, such as `spec.refresh[0]`; `database` and `ledger` where it is none of the spec's."""
    sentence: str
    """What is wrong and what to do; free of secrets."""

    def to_json_object(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return {"level": self.level, "where": self.where, "sentence": self.sentence}


class Findings:
    """Collects findings, those of failed look-ups too."""

    def __init__(self, redactor: Redactor) -> None:
        """`redactor` takes secrets out of what the server answers."""
        self.all: list[Finding] = []
        self.redactor = redactor

    def error(self, where: str, sentence: str) -> None:
        """Note what would fail a run."""
        self.all.append(Finding(level="error", where=where, sentence=sentence))

    def warning(self, where: str, sentence: str) -> None:
        """Note what a run works with, at a price."""
        self.all.append(Finding(level="warning", where=where, sentence=sentence))

    def ok(self, where: str, sentence: str) -> None:
        """Note what is as it should be."""
        self.all.append(Finding(level="ok", where=where, sentence=sentence))

    def has_errors(self, *places: str) -> bool:
        """Tell whether there are errors at one of these places or within it; without places, any at all."""
        return any(
            finding.level == "error" and (not places or any(_is_within(finding.where, place) for place in places))
            for finding in self.all
        )

    @contextmanager
    def within(self, connection: Connection, where: str) -> Iterator[None]:
        """Look at something behind a savepoint; turn what is raised into a finding, unless the connection is lost.

        What another attempt may find otherwise, such as a lock, is a warning.
        """
        try:
            with connection.transaction():
                yield
        except RunError as error:
            self._note(where, error.with_answer(self.redactor))
        except psycopg.errors.InsufficientPrivilege as error:
            self.error(where, f"{lacking_by(connection, error)}: {self.redactor.driver_text(error)}")
        except psycopg.Error as error:
            if connection.closed:
                raise
            error.add_note(where)
            self._note(where, from_driver(error, self.redactor))

    def _note(self, where: str, error: RunError) -> None:
        place, separator, rest = str(error).partition(": ")
        # A sentence that begins with a field's path knows the place better.
        sentence, where = (rest, place) if separator and _is_within(place, where) else (str(error), where)
        if error.retry:
            self.warning(where, f"this could not be looked at: {sentence}")
        else:
            self.error(where, sentence)


def _is_within(where: str, place: str) -> bool:
    return where == place or where.startswith((f"{place}.", f"{place}["))
