"""What `kubectl trending` looks like, as pictures: `python -m demo.pictures` writes docs/images/*.svg.

The schedules are made up, and the time stands still; all the rest is what the plugin draws.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme

from trending.api.instant import format_instant
from trending.api.names import API_VERSION, KIND
from trending.cli.kubectl.list_view import list_table, most_stale_first

NOW: Final = datetime(2026, 11, 23, 18, 23, 10, tzinfo=UTC)
ZONE: Final = ZoneInfo("Europe/Berlin")
_FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "images"


def schedule(
    name: str,
    expression: str,
    *,
    data: timedelta | None = timedelta(minutes=22),
    allowed: timedelta = timedelta(hours=2),
    namespace: str = "discovery",
    status: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a schedule whose data are so old, as the API server would show it."""
    stale = NOW - data + allowed if data is not None else None
    fresh = stale is not None and stale > NOW
    dated = {"dataTimestamp": ago(data), "staleTime": format_instant(stale)} if data is not None and stale else {}
    finished = {
        "job": f"{name}-29923860",
        "scheduledTime": ago(minutes=23),
        "startTime": ago(minutes=23),
        "completionTime": ago(minutes=20),
        "duration": "3m2s",
        "attempts": 1,
        "result": "Succeeded",
        "reason": "RunSucceeded",
        "message": "3 targets are rewritten.",
        "rowsChanged": 48_213,
        "strategies": "Merge",
    }
    usual = {
        "observedGeneration": 1,
        "conditions": [
            condition("Accepted", "True", "Valid", "The spec is valid."),
            condition("Fresh", "True" if fresh else "False", "UpToDate" if fresh else "TooOld", ""),
            condition("Succeeded", "True", "RunSucceeded", "3 targets are rewritten."),
            condition("Progressing", "False", "Idle", "No run is active."),
        ],
        "activeCount": 0,
        "nextScheduleTime": format_instant(NOW.replace(minute=0, second=0) + timedelta(hours=1)),
        "lastScheduleTime": ago(minutes=23),
        "scheduleSince": ago(days=3),
        "observedSchedule": {"schedule": expression, "timeZone": spec.get("timeZone", "Etc/UTC")},
        "consecutiveFailures": 0,
        "lastRun": {**finished, **(last or {})},
        **dated,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": ago(days=3, hours=4),
        },
        "spec": {
            "schedule": expression,
            "timeZone": "Etc/UTC",
            "database": {"secretKeyRef": {"name": "discovery-db", "key": "uri"}},
            "rewrite": [{"name": "tracks", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}],
            **spec,
        },
        "status": {**usual, **(status or {})},
    }


def ago(span: timedelta | None = None, **parts: float) -> str:
    """Return a time before now."""
    return format_instant(NOW - (span if span is not None else timedelta(**parts)))


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    """Return a condition as the controller writes it."""
    since = ago(hours=5)
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}


def schedules() -> list[dict[str, Any]]:
    """Return a morning's worth of schedules: some are well, some are not."""
    failed = {"result": "Failed", "reason": "ConnectionError", "completionTime": ago(minutes=2), "duration": "12s"}
    return [
        schedule("hourly", "0 * * * *"),
        schedule("playlists", "*/30 * * * *", data=timedelta(minutes=55), allowed=timedelta(hours=1)),
        schedule("underground", "15 */2 * * *", data=timedelta(hours=18), allowed=timedelta(hours=4), last=failed),
        schedule("charts", "0 4 * * MON-FRI", suspend=True, namespace="reports", status={"nextScheduleTime": None}),
        schedule("boards", "@every 90m", data=None, namespace="community", status={"activeCount": 1, "lastRun": None}),
    ]


def _list(width: int) -> RenderableType:
    return list_table(most_stale_first(schedules(), NOW), NOW, everywhere=True, wide=False, width=width)


PICTURES: Final[dict[str, tuple[str, Callable[[int], RenderableType]]]] = {
    "list": ("kubectl trending list -A", _list),
}
"""The name of each picture, the command that it shows, and what is drawn at a width."""


_WITHOUT_FONTS: Final = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""A picture loads nothing from elsewhere: the reader's own monospace font will do."""


def draw(name: str, *, width: int, theme: TerminalTheme = SVG_EXPORT_THEME) -> str:
    """Return a picture as SVG."""
    command, view = PICTURES[name]
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    console.print(f"[dim]$[/] {command}")
    console.print(view(width))
    return console.export_svg(title="", theme=theme, unique_id=name, code_format=_WITHOUT_FONTS)


def main() -> None:
    """Write the pictures of the documents, or others to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=_FOLDER)
    parser.add_argument("--light", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        theme = DEFAULT_TERMINAL_THEME if given.light else SVG_EXPORT_THEME
        (given.folder / f"kubectl-trending-{name}.svg").write_text(draw(name, width=given.width, theme=theme))


if __name__ == "__main__":
    main()
