"""Refreshing: concurrent where it can be, honest where it cannot, patient with locks, and done once."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from tests.postgres.runs import Heard, identity, ledger, own_target, report_of, run, spec, step_of
from tests.postgres.server import Database

TARGET = own_target(query="SELECT id, sum AS score FROM totals")


@pytest.fixture
def totals(database: Database) -> Database:
    """A materialized view `totals` that was never populated, the table `hot`, the ledger."""
    database.execute(
        "CREATE TABLE facts (id int, value int); INSERT INTO facts VALUES (1, 1), (1, 2), (2, 3);"
        "CREATE MATERIALIZED VIEW totals AS SELECT id, sum(value) AS sum FROM facts GROUP BY id WITH NO DATA;"
        "CREATE TABLE hot (id int PRIMARY KEY, score float8)"
    )
    ledger(database)
    return database


def refreshing(mode: str = "Auto", *, view: str = "totals", **fields: Any) -> Any:
    return spec(refresh=[{"materializedView": view, "mode": mode}], rewrite=[TARGET], **fields)


def scores(database: Database) -> list[Any]:
    return database.execute("SELECT id, score FROM hot ORDER BY id")


def test_a_first_refresh_fills_the_view_and_the_note_tells_how_to_stay_concurrent(totals: Database) -> None:
    step = step_of(report_of(run(totals, refreshing())), "totals")
    assert step.mode == "Blocking"
    assert re.fullmatch(
        r"blocking, since it had never been populated; readers were locked out for [\d.]+ s; make a unique index on "
        r"columns of the view, .*",
        step.note or "",
    )
    assert scores(totals) == [(1, 3), (2, 3)]


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ON totals (id) WHERE id > 0",
        "CREATE UNIQUE INDEX ON totals ((id + 1))",
        "CREATE INDEX ON totals (id)",
    ],
)
def test_only_a_plain_unique_index_allows_a_concurrent_refresh(totals: Database, index: str) -> None:
    totals.execute(f"{index}; REFRESH MATERIALIZED VIEW totals")
    step = step_of(report_of(run(totals, refreshing())), "totals")
    assert step.mode == "Blocking"
    assert "it has no unique index on plain columns" in (step.note or "")


def test_an_index_that_is_not_valid_does_not_count(totals: Database) -> None:
    totals.execute("CREATE UNIQUE INDEX totals_id ON totals (id); REFRESH MATERIALIZED VIEW totals")
    totals.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'totals_id'::regclass", role="postgres")
    assert step_of(report_of(run(totals, refreshing())), "totals").mode == "Blocking"


def test_with_a_unique_index_the_refresh_is_concurrent(totals: Database) -> None:
    totals.execute(
        "REFRESH MATERIALIZED VIEW totals; CREATE UNIQUE INDEX ON totals (id); INSERT INTO facts VALUES (3, 9)"
    )
    step = step_of(report_of(run(totals, refreshing())), "totals")
    assert (step.mode, step.note) == ("Concurrent", None)
    assert scores(totals) == [(1, 3), (2, 3), (3, 9)]


def test_mode_blocking_is_blocking_even_where_it_need_not_be(totals: Database) -> None:
    totals.execute("REFRESH MATERIALIZED VIEW totals; CREATE UNIQUE INDEX ON totals (id)")
    step = step_of(report_of(run(totals, refreshing("Blocking"))), "totals")
    assert step.mode == "Blocking"
    assert re.fullmatch(r"blocking, since mode is Blocking; readers were locked out for [\d.]+ s", step.note or "")


def test_mode_concurrently_fails_rather_than_block(totals: Database) -> None:
    report = report_of(run(totals, refreshing("Concurrently")), exit_code=2)
    assert report.reason == "ConfigurationError"
    assert "totals cannot be refreshed CONCURRENTLY, since it had never been populated" in report.message
    totals.execute("REFRESH MATERIALIZED VIEW totals")
    report = report_of(run(totals, refreshing("Concurrently")), exit_code=2)
    assert "since it has no unique index on plain columns: make a unique index" in report.message


def test_a_target_that_is_not_there_keeps_neither_refreshes_nor_other_targets_from_being_done(totals: Database) -> None:
    missing = own_target(name="missing", table="nope", query="SELECT 1 AS id")
    report = report_of(
        run(totals, spec(refresh=[{"materializedView": "totals"}], rewrite=[missing, TARGET])), exit_code=2
    )
    assert step_of(report, "totals").mode == "Blocking"
    assert scores(totals) == [(1, 3), (2, 3)]
    assert step_of(report, "own").rows_inserted == 2


def test_where_no_target_can_be_had_nothing_is_refreshed(totals: Database) -> None:
    missing = own_target(name="missing", table="nope", query="SELECT 1 AS id")
    report = report_of(run(totals, spec(refresh=[{"materializedView": "totals"}], rewrite=[missing])), exit_code=2)
    assert step_of(report, "totals").note == "not done"


def test_a_failed_refresh_ends_the_run_and_what_follows_is_told_as_not_done(totals: Database) -> None:
    totals.execute("CREATE MATERIALIZED VIEW broken AS SELECT 1 / value AS one FROM facts WITH NO DATA")
    totals.execute("INSERT INTO facts VALUES (9, 0)")
    wanted = spec(
        refresh=[{"materializedView": name} for name in ("totals", "broken", "never")],
        rewrite=[TARGET],
    )
    report = report_of(run(totals, wanted), exit_code=2)
    assert "materialized view broken: spec.refresh[1]: division by zero (SQLSTATE 22012)" in report.message
    notes = {step.name: step.note for step in report.steps}
    assert notes["never"] == notes["own"] == "not done"
    assert (notes["broken"] or "").startswith("failed: ")
    assert step_of(report, "totals").seconds is not None
    assert scores(totals) == []
    assert totals.execute("SELECT count(data_timestamp) FROM trending.freshness") == [(0,)]


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        ("nope", "spec.refresh[0]: there is no materialized view nope in database"),
        ("facts", "spec.refresh[0]: facts is no materialized view"),
        ('a"b', "spec.refresh[0]"),
        ("no.such.name.at.all", "spec.refresh[0]"),
    ],
)
def test_a_view_that_is_none_is_told_by_its_field(totals: Database, view: str, sentence: str) -> None:
    report = report_of(run(totals, refreshing(view=view)), exit_code=2)
    assert sentence in report.message


def test_names_are_read_as_in_sql(totals: Database) -> None:
    totals.execute(
        'CREATE SCHEMA "Odd"; CREATE MATERIALIZED VIEW "Odd"."my ""view"";--" AS SELECT 1 AS id;'
        "REFRESH MATERIALIZED VIEW totals"
    )
    name = '"Odd"."my ""view"";--"'
    step = step_of(report_of(run(totals, refreshing(view=name))), name)
    assert step.mode == "Blocking"


def test_another_view_that_was_never_populated_is_named(totals: Database) -> None:
    totals.execute("CREATE MATERIALIZED VIEW upper AS SELECT count(*) AS id FROM totals WITH NO DATA")
    report = report_of(run(totals, refreshing(view="upper")), exit_code=1)
    assert "upper reads another view that was never populated: put that one before it in spec.refresh" in report.message
    assert 'materialized view "totals" has not been populated' in report.message


def test_another_view_that_was_never_populated_is_named_by_a_concurrent_refresh_too(totals: Database) -> None:
    totals.execute(
        "REFRESH MATERIALIZED VIEW totals; CREATE MATERIALIZED VIEW upper AS SELECT id FROM totals;"
        "CREATE UNIQUE INDEX ON upper (id); REFRESH MATERIALIZED VIEW totals WITH NO DATA"
    )
    report = report_of(run(totals, refreshing(view="upper")), exit_code=1)
    assert "upper reads another view that was never populated" in report.message
    assert totals.execute("SELECT count(*) FROM upper") == [(2,)]


def test_a_role_that_does_not_own_the_view_is_told_so(totals: Database) -> None:
    totals.execute("ALTER MATERIALIZED VIEW totals OWNER TO postgres", role="postgres")
    report = report_of(run(totals, refreshing()), exit_code=2)
    # From 17 on the right to refresh can be granted (MAINTAIN), and the server says what is missing in other words.
    missing = "must be owner of" if totals.server.version < 17 else "permission denied for"
    assert f"{missing} materialized view totals (SQLSTATE 42501)" in report.message


def test_a_lock_is_waited_for_politely_and_had_in_the_end(totals: Database) -> None:
    totals.execute("REFRESH MATERIALIZED VIEW totals")
    heard = Heard()
    with totals.connect() as reader:
        reader.execute("SELECT * FROM totals")
        worker = threading.Thread(target=lambda: done.append(run(totals, refreshing(), heard=heard)))
        done: list[Any] = []
        worker.start()
        heard.wait_for("waiting for a lock on totals")
        with totals.connect() as second, second.transaction():
            # A reader that comes later is let in between two attempts: nobody waits for as long as the first reads.
            second.execute("SET LOCAL statement_timeout = '3s'")
            second.execute("SELECT * FROM totals")
        reader.rollback()
        worker.join()
    assert step_of(report_of(done[0]), "totals").mode == "Blocking"


def test_on_giving_up_the_blocker_is_named(totals: Database) -> None:
    totals.execute("REFRESH MATERIALIZED VIEW totals")
    with totals.connect() as reader:
        reader.execute("SELECT * FROM totals")
        report = report_of(run(totals, refreshing(), seconds=6), exit_code=1)
        pid = reader.info.backend_pid
    assert (report.result, report.reason) == ("DeadlineExceeded", "DeadlineExceeded")
    assert re.search(
        rf"while waiting for a lock on totals, held by pid {pid} \(user discovery, application tests, "
        r"transaction open for \d+ s\)",
        report.message,
    )


def test_an_attempt_does_not_refresh_again_what_an_earlier_one_has_committed(totals: Database) -> None:
    totals.execute("REFRESH MATERIALIZED VIEW totals")
    wanted = spec(
        refresh=[{"materializedView": "totals"}, {"materializedView": "late"}],
        rewrite=[TARGET],
    )
    who = identity()
    first = report_of(run(totals, wanted, who=who), exit_code=2)
    totals.execute("CREATE MATERIALIZED VIEW late AS SELECT 1 AS id WITH NO DATA; INSERT INTO facts VALUES (9, 9)")
    second = report_of(run(totals, wanted, who=who))
    assert step_of(second, "totals") == step_of(first, "totals")
    assert second.attempts == 2
    assert second.data_timestamp == first.data_timestamp
    assert scores(totals) == [(1, 3), (2, 3)], "the view still holds what the first attempt put there"
    third = report_of(run(totals, wanted))
    assert step_of(third, "totals") != step_of(first, "totals")
    assert (9, 9) in scores(totals)


def test_a_refresh_that_fails_at_its_end_is_not_noted_as_done(totals: Database) -> None:
    """The step is committed with the refresh or not at all."""
    who = identity()
    totals.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE 'no' USING ERRCODE = '53100'; END $$;"
        "CREATE TRIGGER refuse BEFORE UPDATE OF report ON trending.run FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    report_of(run(totals, refreshing(), who=who), exit_code=1)
    assert totals.execute("SELECT relispopulated FROM pg_class WHERE relname = 'totals'") == [(False,)]
    totals.execute("DROP TRIGGER refuse ON trending.run")
    assert step_of(report_of(run(totals, refreshing(), who=who)), "totals").mode == "Blocking"


def test_a_view_changed_between_look_and_refresh_is_looked_at_again(totals: Database) -> None:
    """The server's refusal (55000) is the race with the look at the catalog: then it is refreshed blocking, once."""
    totals.execute("REFRESH MATERIALIZED VIEW totals; CREATE UNIQUE INDEX totals_id ON totals (id)")
    heard = Heard()
    done: list[Any] = []
    with totals.connect() as ddl:
        ddl.execute("DROP INDEX totals_id")
        worker = threading.Thread(target=lambda: done.append(run(totals, refreshing(), heard=heard)))
        worker.start()
        heard.wait_for("waiting for a lock on totals")
        ddl.commit()
        worker.join()
    step = step_of(report_of(done[0]), "totals")
    assert step.mode == "Blocking"
    assert "no unique index" in (step.note or "")


def test_statement_timeout_from_the_settings_is_kept(totals: Database) -> None:
    totals.execute("CREATE MATERIALIZED VIEW slow AS SELECT 1 AS id, pg_sleep(5)::text WITH NO DATA")
    wanted = refreshing(view="slow", database={"settings": {"statement_timeout": "300ms"}})
    report = report_of(run(totals, wanted), exit_code=1)
    assert "statement timeout (SQLSTATE 57014)" in report.message


class Altering(Heard):
    """Alters the table when a step begins."""

    def __init__(self, step: str, database: Database, statement: str) -> None:
        super().__init__()
        self._step, self._database, self._statement = step, database, statement

    def says(self, text: str) -> None:
        super().says(text)
        if text.startswith(self._step):
            self._database.execute(self._statement)


def test_a_table_that_is_altered_while_views_are_refreshed_is_rewritten_as_it_is_then(totals: Database) -> None:
    heard = Altering("starts Refresh", totals, "ALTER TABLE hot ADD COLUMN created_at timestamptz")
    report = report_of(run(totals, refreshing(), heard=heard))
    assert totals.execute("SELECT DISTINCT created_at FROM hot") == [(report.data_timestamp,)]


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        ("starts Refresh", 2, "target own: spec.rewrite[0].table: there is no table hot in database"),
        ("starts Rewrite", 1, "target own: table public.hot was dropped while the run was at work"),
    ],
)
def test_a_table_that_is_dropped_while_a_run_is_at_work_is_told(
    totals: Database, step: str, code: int, told: str
) -> None:
    report = report_of(run(totals, refreshing(), heard=Altering(step, totals, "DROP TABLE hot")), exit_code=code)
    assert told in report.message
