"""`trending demo`: the whole path on this machine alone, from an empty folder to a ranking, in seconds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import click
import psycopg

from trending.cli import demo_view as view
from trending.cli.embedded import tell_how_to_go_on
from trending.cli.run import as_object, perform_here
from trending.cli.run_view import print_report
from trending.cli.schedule_file import ScheduleFile, read_schedule_file
from trending.embedded.binaries import EmbeddedError
from trending.embedded.server import EmbeddedServer, embedded_server
from trending.presets.sample import sample_statements
from trending.report import Report
from trending.runner.access import from_uri
from trending.runner.migrate import migrate

Connection = psycopg.Connection[Any]

_TOP_TEN: Final = """
    SELECT rank() OVER (ORDER BY s.score DESC), s.track_id, t.title, u.name, s.genre, s.score
    FROM track_trending_scores AS s
    JOIN tracks AS t ON t.track_id = s.track_id AND t.is_current
    JOIN users AS u ON u.user_id = t.owner_id AND u.is_current
    WHERE s.type = 'TRACKS' AND s.version = 'pnagD' AND s.time_range = 'week'
    ORDER BY s.score DESC, s.track_id LIMIT 10
"""
_HIT: Final = """
    WITH ranked AS (
        SELECT track_id, score, row_number() OVER (ORDER BY score DESC, track_id) AS place
        FROM track_trending_scores
        WHERE type = 'TRACKS' AND version = 'pnagD' AND time_range = 'week' AND score > 0
    ), hit AS (
        SELECT r.track_id, w.week_listen_counts * ceil(2 * l.score / r.score) AS plays
        FROM (SELECT track_id, score FROM ranked WHERE place BETWEEN 11 AND 40) AS r
        JOIN aggregate_interval_plays AS w ON w.track_id = r.track_id AND w.week_listen_counts > 0
        CROSS JOIN (SELECT score FROM ranked WHERE place = 2) AS l
        ORDER BY 2 LIMIT 1
    ), played AS (
        INSERT INTO plays (id, play_item_id, created_at)
        SELECT (SELECT max(id) FROM plays) + n, track_id, now() AT TIME ZONE 'UTC' - interval '1 hour'
        FROM hit CROSS JOIN generate_series(1, plays::integer) AS n
        RETURNING 1
    )
    SELECT t.title, (SELECT count(*) FROM played) FROM hit JOIN tracks AS t USING (track_id) WHERE t.is_current
"""
"""Plays of an hour ago for a track below the top ten, so many that it has to rise."""


class FailedError(click.ClickException):
    """The demo cannot go on; something has to be changed first."""

    exit_code = 2


@dataclass
class Told:
    """What the demo found out, as JSON has it."""

    postgresql: str
    runs: list[Report]
    top_ten: list[view.Place]
    hit: str | None

    def as_object(self, *, seconds: float, server: EmbeddedServer | None) -> dict[str, Any]:
        """`server` is the one that is kept."""
        return {
            "postgresql": self.postgresql,
            "seconds": round(seconds, 1),
            "runs": [as_object(run) for run in self.runs],
            "hit": self.hit,
            "topTen": [place.as_object() for place in self.top_ten],
            "kept": server and {"folder": str(server.folder), "uri": server.uri, "stop": server.how_to_go_on[1]},
        }


@click.command("demo")
@click.option("--tracks", type=click.IntRange(min=100), default=10_000, show_default=True, help="Tracks to make.")
@click.option("--plays", type=click.IntRange(min=1000), default=100_000, show_default=True, help="Plays to make.")
@click.option(
    "--keep",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="A new folder for the server, which goes on there; says how to reach and how to stop it.",
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print JSON alone on standard output.")
def command(tracks: int, plays: int, keep: Path | None, output: str | None) -> None:
    """See it work, without a database and without a cluster: sample data, three runs, a ranking; then all is gone.

    Starts PostgreSQL in a temporary folder (pip install 'trending-operator[embedded]' brings it along), makes users,
    tracks and plays as a music service has them, and runs the schedule that a TrendingSchedule in a cluster would: two
    materialized views are refreshed, the scores of the week, the month and all time rewritten. A second run finds
    nothing to change; then a track becomes a hit, and a third run changes the few rows that this concerns. Ctrl-C
    leaves nothing behind either.

    \b
        trending demo                                     # ten seconds; nothing is left behind
        trending demo --tracks 100000 --plays 2000000     # a minute or two
        trending demo --keep ./demo-db                    # the server goes on: look at its tables with psql
        trending run -f demo-db/schedule.yaml --database URI   # one more run there

    With tables and data of your own: trending run --embedded --help
    """
    start = time.monotonic()
    try:
        with embedded_server(keep) as server:
            told = _demo(server, tracks=tracks, plays=plays, quiet=output == "json")
            if keep is not None:
                (server.folder / "schedule.yaml").write_text(_schedule_text(), encoding="utf-8")
    except EmbeddedError as error:
        raise FailedError(str(error)) from None
    kept = server if keep is not None else None
    if output == "json":
        whole = told.as_object(seconds=time.monotonic() - start, server=kept)
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        return
    view.title(f"Done in {time.monotonic() - start:.1f} s" + (", and nothing is left of it" if kept is None else ""))
    if kept is not None:
        tell_how_to_go_on(kept, click.echo)


def _demo(server: EmbeddedServer, *, tracks: int, plays: int, quiet: bool) -> Told:
    with psycopg.connect(server.uri, autocommit=True, application_name="trending/demo") as connection:
        version = connection.execute("SELECT split_part(current_setting('server_version'), ' ', 1)").fetchall()[0][0]
        with view.part(f"PostgreSQL {version}: {tracks:,} tracks, {plays:,} plays", quiet=quiet):
            for statement in sample_statements(tracks=tracks, plays=plays):
                connection.execute(statement.encode())
            migrate(connection, preset="audius", say=lambda _: None)
        told = Told(postgresql=version, runs=[], top_ten=[], hit=None)
        with _schedule() as schedule:
            _run(server, schedule, told, "A first run: the views are filled, every score is new", quiet=quiet)
            before = _top_ten(connection)
            view.show(before, {}, quiet=quiet)
            _run(server, schedule, told, "The same again: nothing changed, so nothing is written", quiet=quiet)
            # Of few tracks and plays there may be none that could become one.
            for hit, new_plays in connection.execute(_HIT.encode()):
                told.hit = hit
                _run(server, schedule, told, f"{new_plays:,} plays later: “{hit}” is a hit", quiet=quiet)
        told.top_ten = _top_ten(connection)
        view.show(told.top_ten, {place.track: place.rank for place in before}, quiet=quiet)
    return told


def _run(server: EmbeddedServer, schedule: ScheduleFile, told: Told, title: str, *, quiet: bool) -> None:
    """Do a run; where it did not succeed it is the demo's last, with the run's exit code."""
    if not quiet:
        view.title(title)
    ended = perform_here(schedule, from_uri(server.uri, origin="the demo's own database"))
    report = ended.outcome.report
    told.runs.append(report)
    if not quiet:
        print_report(report)
    if report.result != "Succeeded":
        if quiet:
            click.echo(f"Error: {report.message}", err=True)
        sys.exit(ended.outcome.exit_code)


def _top_ten(connection: Connection) -> list[view.Place]:
    return [view.Place(*row) for row in connection.execute(_TOP_TEN).fetchall()]


def _schedule_text() -> str:
    return (files("trending.cli") / "demo_schedule.yaml").read_text(encoding="utf-8")


@contextmanager
def _schedule() -> Iterator[ScheduleFile]:
    with as_file(files("trending.cli") / "demo_schedule.yaml") as path:
        yield read_schedule_file(path)
