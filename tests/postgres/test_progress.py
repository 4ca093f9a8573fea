"""What a run tells of itself while it goes: its phases, the server's own figures, and what it usually takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.runs import Heard, Pod, ledger, own_target, spec, spec_dict
from tests.postgres.server import Database
from tests.postgres.sides import Side, at_the_gate, gate
from tests.waiting import SECONDS, until
from trending.api.status import StepAction
from trending.report import Report
from trending.report.event import RunEvent, read_event
from trending.runner.progress import Advance

ROWS = 3000
SWAPPED = own_target(
    slice={"kind": ["a"]}, query=f"SELECT g AS id, -g AS score FROM generate_series(1, {ROWS}) AS g", strategy="Swap"
)
WATCHES = "SELECT pid FROM pg_stat_activity WHERE application_name = 'trending/hourly/progress' AND datname = %s"


class HeardClosely(Heard):
    """Notes where the steps are, too."""

    def __init__(self) -> None:
        super().__init__()
        self.advances_heard: list[Advance] = []
        self.expected: dict[tuple[StepAction, str], float] = {}

    def expects(self, seconds: Mapping[tuple[StepAction, str], float]) -> None:
        self.expected = dict(seconds)

    def advances(self, _action: StepAction, _name: str, advance: Advance) -> None:
        with self._more:
            self.advances_heard.append(advance)
            self._more.notify_all()

    def wait_for_advance(self, fits: Callable[[Advance], bool]) -> Advance:
        def found() -> Advance | None:
            return next((advance for advance in self.advances_heard if fits(advance)), None)

        with self._more:
            advance = self._more.wait_for(found, timeout=SECONDS)
            assert advance is not None, (self.advances_heard[-1], self.lines)
            return advance

    @property
    def phases(self) -> list[str]:
        """What was heard, each once, in order."""
        return list(dict.fromkeys(advance.phase for advance in self.advances_heard))


@pytest.fixture
def hot(database: Database) -> Database:
    """A table in partitions, with an index whose build stops at a gate where there is one."""
    database.execute(
        "CREATE FUNCTION slowly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN $1; END $$;"
        "CREATE TABLE hot (kind text, id int, score int, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);"
        "CREATE INDEX ON hot (public.slowly(id));"
        "CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a');"
        f"INSERT INTO hot SELECT 'a', g, g FROM generate_series(1, {ROWS}) AS g"
    )
    ledger(database)
    return database


def watched(on: Database, heard: HeardClosely, **fields: Any) -> Side:
    return Side(on, spec(**fields), heard=heard)


def test_a_swaps_phases_are_told_and_how_far_its_index_is_built(hot: Database) -> None:
    heard = HeardClosely()
    with gate(hot) as opened:
        side = watched(hot, heard, rewrite=[SWAPPED])
        at_the_gate(hot)
        built = heard.wait_for_advance(lambda advance: advance.detail is not None)
        opened.set()
        side.report()
    assert built.phase == "building index 2 of 2"
    assert built.detail == "building index: scanning table"
    assert built.unit == "blocks"
    assert built.total is not None
    assert built.total > 1
    assert built.done is not None
    assert built.done <= built.total
    assert heard.phases == [
        "staging",
        "checking what was staged",
        "comparing",
        "filling the new partition",
        "building index 1 of 2",
        "building index 2 of 2",
        "vacuuming the new partition",
        "waiting for older transactions",
        "exchanging the partition",
    ]
    staged = heard.wait_for_advance(lambda advance: advance.phase == "comparing")
    assert (staged.total, staged.unit) == (ROWS, "rows")


def test_how_far_the_vacuum_afterwards_is_is_told(database: Database) -> None:
    # So slow, a page a time, that it lasts some seconds.
    slow = {"vacuum_cost_delay": "6ms", "vacuum_cost_limit": "1"}
    database.execute("CREATE TABLE hot (id int PRIMARY KEY, score int, filler text DEFAULT repeat('x', 300))")
    database.execute(f"INSERT INTO hot SELECT g, g FROM generate_series(1, {ROWS}) AS g")
    ledger(database)
    heard = HeardClosely()
    target = own_target(query=f"SELECT g AS id, -g AS score FROM generate_series(1, {ROWS}) AS g", strategy="Merge")
    side = watched(database, heard, rewrite=[target], database={"settings": slow})
    vacuumed = heard.wait_for_advance(lambda advance: advance.detail == "scanning heap")
    side.report()
    assert vacuumed.phase == "vacuuming public.hot"
    assert vacuumed.unit == "blocks"
    assert vacuumed.total is not None
    assert vacuumed.total > 100


REFRESHED: dict[str, Any] = {
    "refresh": [{"materializedView": "plays"}],
    "rewrite": [own_target(slice={"kind": ["a"]}, query="SELECT id, 1 AS score FROM plays", maxDeletePercent=100)],
}


@pytest.fixture
def viewed(hot: Database) -> Database:
    """The same, and a view whose refresh stops at the gate."""
    hot.execute("CREATE MATERIALIZED VIEW plays AS SELECT public.slowly(1) AS id WITH NO DATA")
    return hot


def until_watched(database: Database) -> None:
    """Wait until a run has opened the connection that it can do without; from where no limit of this one counts us."""
    with database.server.connect("postgres") as admin:
        until(lambda: admin.execute(WATCHES, [database.name]).fetchall(), what="a run is watched", pause=0.05)


def test_a_run_that_is_refused_a_connection_gets_that_of_its_watch(viewed: Database) -> None:
    heard = HeardClosely()
    with gate(viewed) as opened:
        # The gate's keeper, the refresh and its watch: none is left for the locks.
        viewed.execute(f"ALTER DATABASE {viewed.name} CONNECTION LIMIT 3", role="postgres")
        side = watched(viewed, heard, **REFRESHED)
        until_watched(viewed)
        opened.set()
        report = side.report()
    assert report.result == "Succeeded"


def test_a_watch_that_loses_its_connection_says_so_once_and_the_run_goes_on(viewed: Database) -> None:
    heard = HeardClosely()
    with gate(viewed) as opened:
        side = watched(viewed, heard, **REFRESHED)
        until_watched(viewed)
        terminate = f"SELECT pg_terminate_backend(pid) FROM ({WATCHES}) AS watches"
        viewed.execute(terminate, [viewed.name], role="postgres")
        heard.wait_for("the server's own figures of progress are not shown")
        told = len(heard.advances_heard)
        heard.wait_for_advance(lambda _: len(heard.advances_heard) > told + 1)
        opened.set()
        assert side.report().result == "Succeeded"
    assert len([line for line in heard.lines if "figures of progress" in line]) == 1


def test_nobody_who_listens_closely_means_no_watch(viewed: Database) -> None:
    with gate(viewed) as opened:
        quiet, loud = Heard(), HeardClosely()
        sides = [Side(viewed, spec(**REFRESHED), heard=heard) for heard in (quiet, loud)]
        until_watched(viewed)
        assert len(viewed.execute(WATCHES, [viewed.name], role="postgres")) == 1
        opened.set()
        for side in sides:
            side.report()


def test_what_a_step_took_the_last_times_is_told_before_it_starts(hot: Database) -> None:
    first, second = HeardClosely(), HeardClosely()
    report = watched(hot, first, rewrite=[SWAPPED]).report()
    watched(hot, second, rewrite=[SWAPPED]).report()
    assert first.expected == {}
    assert second.expected == {("Rewrite", "own"): report.steps[0].seconds}


def test_a_pods_log_is_json_lines_without_a_secret(
    viewed: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRENDING_LOG_FORMAT", "json")
    pod = Pod.prepare(tmp_path, spec_dict(**REFRESHED), uri=viewed.uri)
    process = pod.start()
    out, err = process.communicate(timeout=SECONDS)
    events = [read_event(line) for line in err.splitlines()]
    assert process.returncode == 0
    assert all(events), err
    kinds = [event.event for event in events if event is not None and event.event != "progress"]
    assert kinds == ["plan", "start", "end", "start", "end", "report"]
    last = events[-1]
    assert last is not None
    assert (last.result, last.exit_code) == ("Succeeded", 0)
    assert Report.model_validate_json(out).steps == pod.report().steps
    assert viewed.password not in out + err


def test_a_pod_that_cannot_begin_says_why_in_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRENDING_LOG_FORMAT", "json")
    code, said = Pod.prepare(tmp_path, spec_dict(**REFRESHED), uri=None).run()
    event = read_event(said.splitlines()[1] if not said.startswith('{"time"') else said.splitlines()[0])
    assert code == 2
    assert isinstance(event, RunEvent)
    assert event.message is not None
    assert "discovery-db" in event.message
