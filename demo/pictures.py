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

from trending.api.instant import format_instant, parse_instant
from trending.api.names import API_VERSION, KIND, RUN_CONTAINER, SCHEDULED_TIMESTAMP_ANNOTATION
from trending.api.status import Step, StepAction
from trending.cli.kubectl.history_view import history_view
from trending.cli.kubectl.list_view import list_table, most_stale_first
from trending.cli.kubectl.seen import Seen, read_schedule, see
from trending.cli.kubectl.status_view import status_view
from trending.cli.live_table import LiveTable
from trending.report import Report, write_termination_message
from trending.runner.progress import Advance

NOW: Final = datetime(2026, 11, 23, 18, 23, 10, tzinfo=UTC)
SLOT: Final = NOW.replace(minute=0, second=0)
WIDTH: Final = 88
ZONE: Final = ZoneInfo("Europe/Berlin")
FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "images"


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
        "job": f"{name}-{int(SLOT.timestamp()) // 60}",
        "scheduledTime": format_instant(SLOT),
        "startTime": format_instant(SLOT),
        "completionTime": format_instant(SLOT + timedelta(minutes=3, seconds=2)),
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
        "nextScheduleTime": format_instant(SLOT + timedelta(hours=1)),
        "lastScheduleTime": format_instant(SLOT),
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


def well() -> Seen:
    """Return a schedule that is well, with a history."""
    names = {"tracks": (22, 2, 8_412_005), "underground": (22, 2, 1_204_112), "tracks-all-time": (1365, 26, 3_106_882)}
    targets = [
        {"name": name, "dataTimestamp": ago(minutes=age), "staleTime": ago(minutes=age - hours * 60), "rows": rows}
        for name, (age, hours, rows) in names.items()
    ]
    rewrite = [{"name": name, "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}} for name in names]
    until = ago(minutes=22 - 120)
    conditions = [
        condition("Accepted", "True", "Valid", "The spec is valid."),
        condition(
            *("Fresh", "True", "UpToDate"),
            f"The data are of {ago(minutes=1365)} or newer; target tracks goes stale first, at {until}.",
        ),
        condition("Succeeded", "True", "RunSucceeded", "3 targets are rewritten, 48,213 rows changed."),
        condition("Progressing", "False", "Idle", "No run is active."),
    ]
    body = schedule(
        *("hourly", "0 * * * *"),
        timeZone="Europe/Berlin",
        status={"targets": targets, "conditions": conditions, "lastSuccessfulTime": ago(minutes=20)},
        last={
            "steps": [step("tracks", seconds=101.5, wal=61_400_000), step("underground", seconds=44.0, wal=9_100_000)]
        },
        rewrite=rewrite,
        successfulJobsHistoryLimit=8,
    )
    minutes = (3.0, 3.2, 2.9, 4.1, 3.3, 7.8, 3.1)
    jobs = [job("hourly", hours=number, minutes=took) for number, took in enumerate(minutes, start=1)]
    pods = [pod(each, rows=52_000 - 731 * number) for number, each in enumerate(jobs)]
    return see(read_schedule(body), jobs, pods, NOW)


def unwell() -> Seen:
    """Return a schedule whose runs fail."""
    message = (
        "The database cannot be reached: connection to server at discovery-db (10.96.14.3), port 5432 failed: "
        "Connection refused."
    )
    last = {
        "result": "Failed",
        "reason": "ConnectionError",
        "message": message,
        "attempts": 3,
        "rowsChanged": 0,
        "strategies": None,
    }
    stale = ago(hours=14)
    conditions = [
        condition("Accepted", "True", "Valid", "The spec is valid."),
        condition(
            *("Fresh", "False", "TooOld"),
            f"The data of target underground are of {ago(hours=18)} and became stale at {stale}, 4h later.",
        ),
        condition("Succeeded", "False", "ConnectionError", message),
        condition("Progressing", "False", "Idle", "No run is active."),
    ]
    target = {"name": "underground", "dataTimestamp": ago(hours=18), "staleTime": stale, "rows": 1_204_112}
    body = schedule(
        *("underground", "15 */2 * * *"),
        last=last,
        status={
            "targets": [target],
            "conditions": conditions,
            "lastSuccessfulTime": ago(hours=18),
            "nextScheduleTime": "2026-11-23T20:15:00Z",
        },
        rewrite=[
            {"name": "underground", "preset": {"name": "audius/underground-tracks-pnagD", "timeRanges": ["week"]}}
        ],
    )
    jobs = [job("underground", hours=18, minutes=3)]
    return see(read_schedule(body), jobs, [pod(each, rows=9_120) for each in jobs], NOW, flags=" -n discovery")


def step(name: str, *, seconds: float, wal: int, rows: int = 24_106) -> dict[str, Any]:
    """Return a step of a run as the status has it."""
    changed = {"rowsInserted": 12, "rowsUpdated": rows, "rowsDeleted": 3, "rowsUnchanged": 8_412_005}
    return {"name": name, "action": "Rewrite", "strategy": "Merge", "seconds": seconds, "walBytes": wal, **changed}


def job(schedule: str, *, hours: int, minutes: float) -> dict[str, Any]:
    """Return a Job that began at the full hour so many hours ago and took so many minutes."""
    start = SLOT - timedelta(hours=hours)
    end = format_instant(start + timedelta(minutes=minutes))
    return {
        "metadata": {
            "name": f"{schedule}-{int(start.timestamp()) // 60}",
            "namespace": "discovery",
            "uid": f"job-{hours}",
            "creationTimestamp": format_instant(start),
            "annotations": {SCHEDULED_TIMESTAMP_ANNOTATION: format_instant(start)},
            "ownerReferences": [{"uid": f"uid-{schedule}", "controller": True}],
        },
        "status": {
            "startTime": format_instant(start),
            "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": end}],
        },
    }


def pod(job: dict[str, Any], *, rows: int) -> dict[str, Any]:
    """Return the pod that a Job left, with its report."""
    start = parse_instant(job["status"]["startTime"])
    steps = (Step.model_validate(step("tracks", seconds=101.5, wal=rows * 1300, rows=rows)),)
    report = Report(
        job=job["metadata"]["name"],
        start_time=start,
        completion_time=start + timedelta(minutes=3),
        result="Succeeded",
        reason="RunSucceeded",
        message="1 target is rewritten.",
        steps=steps,
    )
    ended = {"exitCode": 0, "message": write_termination_message(report)}
    return {
        "metadata": {
            "creationTimestamp": job["metadata"]["creationTimestamp"],
            "labels": {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]},
        },
        "status": {"containerStatuses": [{"name": RUN_CONTAINER, "state": {"terminated": ended}}]},
    }


def active() -> LiveTable:
    """Return a run that goes on."""
    week, month = _key("Rewrite", "tracks-week"), _key("Rewrite", "tracks-month")
    plays, params = _key("Refresh", "aggregate_interval_plays"), _key("Refresh", "trending_params")
    table = LiveTable(clock=lambda: 0.0)
    table.expects({week: 61.4, month: 118.0})
    table.plans([plays, params, week, month])
    for action, name, seconds in ((*plays, 12.3), (*params, 3.1)):
        table.ends(Step(action=action, name=name, mode="Concurrent", seconds=seconds))
    table.starts(*week, ago=45.1)
    table.advances(
        *week,
        Advance(phase="building index 2 of 6", done=600_000, total=1_200_000, unit="tuples"),
    )
    return table


def _key(action: StepAction, name: str) -> tuple[StepAction, str]:
    return action, name


def _list(width: int) -> RenderableType:
    return list_table(most_stale_first(schedules(), NOW), NOW, everywhere=True, wide=False, width=width)


PICTURES: Final[dict[str, tuple[str, Callable[[int], RenderableType]]]] = {
    "list": ("kubectl trending list -A", _list),
    "status": ("kubectl trending status hourly", lambda width: status_view(well(), width=width, zone=ZONE)),
    "status-stale": (
        "kubectl trending status underground -n discovery",
        lambda width: status_view(unwell(), width=width, zone=ZONE),
    ),
    "logs": ("kubectl trending logs hourly -f", lambda _: active()),
    "history": ("kubectl trending history hourly", lambda _: history_view(well(), zone=ZONE)),
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
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--light", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        theme = DEFAULT_TERMINAL_THEME if given.light else SVG_EXPORT_THEME
        (given.folder / f"kubectl-trending-{name}.svg").write_text(draw(name, width=given.width, theme=theme))


if __name__ == "__main__":
    main()
