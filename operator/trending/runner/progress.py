"""Who is told how a run goes, while it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from trending.api.status import Step, StepAction


@dataclass(frozen=True, kw_only=True)
class Advance:
    """Where a step is."""

    phase: str
    """What is being done, in our words: `staging`, `building index 2 of 6`."""
    detail: str | None = None
    """Where in that the server is, in its own words, as in the pg_stat_progress_* views."""
    done: int | None = None
    """How many units of it are behind; None where the server does not tell."""
    total: int | None = None
    """How many there are."""
    unit: str | None = None
    """What is counted: rows, tuples, blocks, indexes, lockers."""


class Progress(Protocol):
    """A listener, which several threads may tell at once. Its texts are for people and hold no secrets."""

    def plans(self, work: list[tuple[StepAction, str]]) -> None:
        """Hear what is to be done, in order."""
        ...

    def starts(self, action: StepAction, name: str) -> None:
        """Hear what is begun."""
        ...

    def says(self, text: str) -> None:
        """Hear what is waited for, tried again and the like."""
        ...

    def ends(self, step: Step) -> None:
        """Hear how it went; a step without seconds was not done."""
        ...


@runtime_checkable
class CloseProgress(Progress, Protocol):
    """A listener who wants to know where the steps are: once a second that is looked for."""

    def expects(self, seconds: Mapping[tuple[StepAction, str], float]) -> None:
        """Hear, before what is to be done, how long it took the last times; what is not known is left out."""
        ...

    def advances(self, action: StepAction, name: str, advance: Advance) -> None:
        """Hear where a step is: at each new phase, and about once a second; after its end while it is vacuumed."""
        ...
