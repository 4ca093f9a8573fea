"""Following the run of a request: its log while it goes, drawn or in sentences."""

from __future__ import annotations

from contextlib import suppress

import click

from trending.cli.kubectl.connection import Cluster
from trending.cli.kubectl.follow import follow
from trending.cli.kubectl.log_view import LogView, drawn_or_written, read_report
from trending.report.event import read_event


class NotingView:
    """Passes a log on, and notes whether the run told in it how it ended."""

    def __init__(self, view: LogView) -> None:
        self._view = view
        self.told = False

    def line(self, text: str) -> None:
        """Pass on a line of the log."""
        event = read_event(text)
        self.told = self.told or read_report(text) is not None or (event is not None and event.event == "report")
        self._view.line(text)

    def remark(self, text: str) -> None:
        """Pass on what is not in the log."""
        self._view.remark(text)


async def show_run(cluster: Cluster, job: str) -> bool:
    """Show the logs of a Job's pods until it has finished; return whether the run told in them how it ended.

    Where the Job is deleted meanwhile, as by a run that replaces it, the schedule's status tells what became of it.
    """
    with drawn_or_written() as view:
        noting = NotingView(view)
        with suppress(click.ClickException):
            await follow(cluster, job, noting)
        return noting.told
