"""Who is told how a run goes, while it goes."""

from typing import Protocol

from trending.api.status import Step, StepAction


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
