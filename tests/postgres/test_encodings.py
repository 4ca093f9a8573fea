"""Databases whose encoding is not UTF-8, and settings that would have the same things called otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from tests.postgres.plans import write
from tests.postgres.runs import ledger, own_target, report_of, run, spec, spec_dict, start
from tests.postgres.server import OWNER, Database, PostgresServer


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def encoded(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database in which text is bytes, and one that cannot hold every letter."""
    name = f"test_{request.param.lower()}"
    with server.connect("postgres") as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LOCALE 'C'").format(
                sql.Identifier(name), sql.Identifier(OWNER), sql.Literal(request.param)
            )
        )
    try:
        yield Database(server=server, name=name)
    finally:
        with server.connect("postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def command(database: Database, *arguments: str) -> str:
    process = start(*arguments, TRENDING_DATABASE_URI=database.uri)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    return out


def test_everything_is_told_in_a_database_of_another_encoding(encoded: Database, tmp_path: Path) -> None:
    with encoded.connect(autocommit=True) as connection:
        connection.execute("SET client_encoding = UTF8")
        connection.execute("CREATE TABLE hot (board text, id int, score float8, PRIMARY KEY (board, id))")
    command(encoded, "migrate")
    wanted = spec_dict(rewrite=[own_target(slice={"board": ["größe"]}, query="SELECT 1 AS id, 2 AS score")])
    file = str(write(tmp_path, wanted))
    assert json.loads(command(encoded, "plan", "-f", file, "-o", "json"))["rewrite"][0]["rowsInserted"] == 1
    assert json.loads(command(encoded, "run", "-f", file, "-o", "json"))["rowsChanged"] == 1
    assert json.loads(command(encoded, "freshness", "-o", "json"))[0]["slice"] == {"board": ["größe"]}
    assert "2 partitions" in command(encoded, "partition", "hot", "--dry-run")


def test_whatever_encoding_is_set(database: Database) -> None:
    database.execute("CREATE TABLE hot (board text, id int, PRIMARY KEY (board, id))")
    ledger(database)
    own = own_target(slice={"board": ["größe"]}, query="SELECT 1 AS id")
    report_of(run(database, spec(rewrite=[own], database={"settings": {"client_encoding": "SQL_ASCII"}})))
    assert database.execute("SELECT board FROM hot") == [("größe",)]


def test_a_table_is_called_the_same_whatever_is_quoted(database: Database) -> None:
    database.execute("CREATE TABLE hot (id int PRIMARY KEY)")
    ledger(database)
    for quoted in ("on", "off"):
        own = own_target(query="SELECT 1 AS id")
        report_of(run(database, spec(rewrite=[own], database={"settings": {"quote_all_identifiers": quoted}})))
    assert database.execute("SELECT table_name FROM trending.freshness") == [("public.hot",)]
