"""The roles of docs/database-roles.md, made by its own statements: a run works with each, and with nothing less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import yaml
from psycopg import sql

from tests.postgres.plans import Answer, findings, planned
from tests.postgres.runs import ledger, report_of, run
from tests.postgres.server import ADMIN, OWNER, Database, PostgresServer
from trending.api.spec import TrendingScheduleSpec
from trending.runner.failure import UnreachableError

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "database-roles.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "manifests" / "examples"
EXAMPLE = yaml.safe_load((EXAMPLES / "audius-hourly.yaml").read_text(encoding="utf-8"))
MORE = yaml.safe_load((EXAMPLES / "audius-more.yaml").read_text(encoding="utf-8"))
RUNNER = "trending_runner"
PASSWORD = "a long random one"
GRANT = re.compile(r"GRANT [A-Z, ]+ ON .+? TO \w+")

# What every role has unless somebody took it away, as careful administrators do.
CLOSED = "REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"


def statements(block: str, database: str) -> list[str]:
    """The statements of one of the document's blocks, for the database of this test instead of `discovery`."""
    found = re.search(rf"<!-- {block} -->\n```sql\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found, f"the document has no block {block}"
    text = re.sub(r"^--.*\n", "", found[1], flags=re.MULTILINE)
    return [each.replace("DATABASE discovery", f"DATABASE {database}") for each in re.split(r";\n", text) if each]


@pytest.fixture
def closed(audius: Database) -> Iterator[Database]:
    """The Audius schema with its ledger, closed to the public, and with no role of the runs' yet."""
    ledger(audius, preset="audius")
    audius.execute("REFRESH MATERIALIZED VIEW aggregate_interval_plays; REFRESH MATERIALIZED VIEW trending_params")
    audius.execute(CLOSED.format(database=audius.name), role=ADMIN)
    audius.execute(f"GRANT ALL ON SCHEMA public TO {OWNER}", role=ADMIN)
    try:
        yield audius
    finally:
        owned = f"REASSIGN OWNED BY {RUNNER} TO {OWNER}; DROP OWNED BY {RUNNER}; DROP ROLE {RUNNER}"
        audius.execute(owned, role=ADMIN)


def apply(database: Database, *blocks: str) -> None:
    for block in blocks:
        for statement in statements(block, database.name):
            database.execute(statement, role=ADMIN)


def narrow(server: PostgresServer) -> tuple[str, ...]:
    """The blocks of the second way for this version of the server."""
    return ("grants", "maintain", "vacuum") if server.version >= 17 else ("grants", "own")


def as_runner(database: Database) -> Database:
    return _AsRunner(server=database.server, name=database.name)


class _AsRunner(Database):
    """The same database for the runs' role."""

    @property
    def uri(self) -> str:
        return f"postgresql://{RUNNER}:{quote(PASSWORD)}@127.0.0.1:{self.server.port}/{self.name}"


def whole_run(database: Database) -> None:
    """A run of the example refreshes both views concurrently and rewrites both targets, which are then not empty."""
    wanted = TrendingScheduleSpec.model_validate(EXAMPLE["spec"])
    report = report_of(run(as_runner(database), wanted))
    assert [(step.action, step.mode) for step in report.steps[:2]] == [("Refresh", "Concurrent")] * 2
    assert len([step for step in report.steps if step.action == "Rewrite" and step.strategy]) == 2
    assert database.execute("SELECT count(*) > 0 FROM track_trending_scores", role=ADMIN) == [(True,)]
    # And once more, with rows to update and to delete.
    database.execute(
        "UPDATE track_trending_scores SET score = score + 1 WHERE track_id % 2 = 0;"
        "INSERT INTO track_trending_scores (track_id, type, version, time_range, score, created_at) "
        "SELECT -1, type, version, time_range, 1, now() FROM track_trending_scores LIMIT 1",
        role=ADMIN,
    )
    again = report_of(run(as_runner(database), wanted))
    assert sum(step.rows_updated or 0 for step in again.steps) > 0
    assert sum(step.rows_deleted or 0 for step in again.steps) == 1


def planned_as_runner(database: Database, *, exit_code: int = 0) -> Answer:
    return planned(as_runner(database), EXAMPLE["spec"], exit_code=exit_code)


def test_a_member_of_the_owner_may_do_a_whole_run(closed: Database) -> None:
    apply(closed, "member")
    assert not findings(planned_as_runner(closed), "error")
    whole_run(closed)


def test_plain_grants_suffice_for_a_whole_run(closed: Database, server: PostgresServer) -> None:
    apply(closed, *narrow(server))
    answer = planned_as_runner(closed)
    assert not findings(answer, "error")
    assert [each["mode"] for each in answer["refresh"]] == ["Concurrent", "Concurrent"]
    whole_run(closed)
    # The application goes on to read what it read before.
    assert closed.execute("SELECT count(*) > 0 FROM trending_params") == [(True,)]


def test_the_grants_for_playlists_suffice_for_the_whole_set(closed: Database, server: PostgresServer) -> None:
    apply(closed, *narrow(server))
    wanted = TrendingScheduleSpec.model_validate(MORE["spec"])
    lacking = planned(as_runner(closed), MORE["spec"], exit_code=2)
    assert all("playlist" in each for each in findings(lacking, "error"))
    apply(closed, "playlists")
    assert not findings(planned(as_runner(closed), MORE["spec"]), "error")
    report = report_of(run(as_runner(closed), wanted))
    assert {step.name for step in report.steps if step.action == "Rewrite" and step.strategy} == {
        target.name for target in wanted.rewrite
    }


def single_grants(database: Database, blocks: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each right on each thing that the blocks give to the runs' role: its GRANT and its REVOKE."""
    for block in blocks:
        for statement in statements(block, database.name):
            if found := re.fullmatch(rf"GRANT ([A-Z, ]+) ON ((?:DATABASE |SCHEMA )?)(.+) TO {RUNNER}", statement):
                for privilege in found[1].split(", "):
                    for thing in found[3].split(", "):
                        on = f"{privilege} ON {found[2]}{thing}"
                        yield f"GRANT {on} TO {RUNNER}", f"REVOKE {on} FROM {RUNNER}"


def test_each_grant_that_is_lacking_is_told_with_the_statement_that_gives_it(
    closed: Database, server: PostgresServer
) -> None:
    blocks = tuple(block for block in narrow(server) if block != "vacuum")  # without that one a run works
    apply(closed, *blocks)
    grants = dict(single_grants(closed, blocks))
    assert len(grants) > 15
    for given, revoke in grants.items():
        if "CONNECT" in given:
            continue
        owned = closed.execute(
            "SELECT 1 FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE rolname = %s AND relname = %s",
            [RUNNER, given.split(" ON ")[1].split(" TO ")[0]],
        )
        if owned:
            continue  # an owner's own right, which nobody wants to take away
        closed.execute(revoke, role=ADMIN)
        answer = planned_as_runner(closed, exit_code=2)
        told = [
            found for each in findings(answer, "error") + findings(answer, "warning") for found in GRANT.findall(each)
        ]
        assert told, f"after {revoke} no GRANT is told: {answer['preflight']}"
        for statement in dict.fromkeys(told):
            closed.execute(statement, role=ADMIN)
        after = planned_as_runner(closed)
        assert not findings(after, "error"), f"after {revoke}; {'; '.join(told)}"
    whole_run(closed)


def test_a_role_that_may_not_connect_is_told_so(closed: Database, server: PostgresServer) -> None:
    apply(closed, *narrow(server))
    closed.execute(f"REVOKE CONNECT ON DATABASE {closed.name} FROM {RUNNER}", role=ADMIN)
    with pytest.raises(UnreachableError, match="permission denied for database"):
        planned_as_runner(closed)


def test_the_migration_names_the_same_grants_as_the_document() -> None:
    migration = (ROOT / "operator" / "trending" / "migrations" / "0001_ledger.sql").read_text(encoding="utf-8")
    for statement in re.findall(
        r"^--     (GRANT [A-Z, ]+ ON (?:SCHEMA )?trending.*) TO <runner>;", migration, re.MULTILINE
    ):
        privileges, _, things = statement.removeprefix("GRANT ").partition(" ON ")
        for thing in things.removeprefix("SCHEMA ").split(", "):
            assert re.search(rf"GRANT {privileges} ON .*{re.escape(thing)}.* TO {RUNNER};", DOCUMENT), statement


def test_from_17_on_a_view_of_another_owner_is_refreshed_by_maintain_and_before_by_nobody_else(
    closed: Database, server: PostgresServer
) -> None:
    apply(closed, "grants")
    errors = [each for each in findings(planned_as_runner(closed, exit_code=2), "error") if "spec.refresh" in each]
    assert len(errors) == 2
    if server.version >= 17:
        assert all("GRANT MAINTAIN ON" in each for each in errors)
    else:
        assert all(f"only its owner {OWNER} may refresh" in each for each in errors)
        # Not even all rights that there are to grant would do.
        closed.execute(sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(RUNNER)))
        with psycopg.connect(as_runner(closed).uri) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("REFRESH MATERIALIZED VIEW trending_params")
