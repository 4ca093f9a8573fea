"""What goes wrong is told in a sentence that says what, where and what to do, and never any part of the password."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from psycopg import sql

from tests.postgres.runs import Pod, ledger, own_target, report_of, run, spec, spec_dict, start, step_of
from tests.postgres.server import CERTIFIED, OWNER, Database
from trending.api.spec import TrendingScheduleSpec

HOT = "CREATE TABLE hot (id int PRIMARY KEY, score float8, created_at timestamptz)"
SCORES = "SELECT 1 AS id, 0.5 AS score"


@pytest.fixture
def hot(database: Database) -> Database:
    """A table `hot` and the ledger."""
    database.execute(HOT)
    ledger(database)
    return database


def one(query: str = SCORES, **fields: Any) -> dict[str, Any]:
    return spec_dict(rewrite=[own_target(query=query, **fields)])


def grant_what_a_runner_needs(database: Database) -> None:
    """The rights that migration 0001 names, for a role that owns nothing."""
    for right in (
        f'USAGE ON SCHEMA trending TO "{CERTIFIED}"',
        f'SELECT, INSERT, UPDATE ON trending.run, trending.freshness TO "{CERTIFIED}"',
        f'TEMPORARY ON DATABASE {database.name} TO "{CERTIFIED}"',
        f'SELECT, INSERT, UPDATE, DELETE ON hot TO "{CERTIFIED}"',
    ):
        database.execute(f"GRANT {right}")


def forms_of(password: str) -> list[str]:
    """Every run of four characters of the password, as it is and percent-encoded."""
    return [part[at : at + 4] for part in (password, quote(password, safe="")) for at in range(max(1, len(part) - 3))]


def assert_hidden(password: str, said: str) -> None:
    for part in forms_of(password):
        assert part.lower() not in said.lower(), f"{part} is in: {said}"


def with_password(database: Database, password: str) -> str:
    return database.uri.replace(quote(database.password, safe=""), quote(password, safe=""))


def test_a_missing_secret_is_told_by_its_name_and_key(tmp_path: Path) -> None:
    pod = Pod.prepare(tmp_path, one(), uri=None)
    code, _ = pod.run()
    report = pod.report()
    assert (code, report.result, report.reason) == (2, "Failed", "ConfigurationError")
    assert "Secret discovery-db with key uri does not exist in namespace discovery" in report.message


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ({"caSecretKeyRef": {"name": "discovery-ca", "key": "ca.crt"}}, "Secret discovery-ca with key ca.crt"),
        ({"clientCertSecretName": "discovery-tls"}, "Secret discovery-tls with key tls.crt"),
    ],
)
def test_a_missing_certificate_is_told_by_its_secret(
    tmp_path: Path, hot: Database, reference: dict[str, Any], sentence: str
) -> None:
    wanted = spec_dict(database=reference, rewrite=[own_target(query=SCORES)])
    pod = Pod.prepare(tmp_path, wanted, uri=hot.uri)
    assert pod.run()[0] == 2
    assert sentence in pod.report().message


def test_certificates_from_secrets_open_a_verified_connection(tmp_path: Path, database_with_tls: Database) -> None:
    hot = database_with_tls
    hot.execute(HOT)
    ledger(hot)
    grant_what_a_runner_needs(hot)
    files = hot.server.certificates
    wanted = spec_dict(
        database={"caSecretKeyRef": {"name": "ca", "key": "ca.crt"}, "clientCertSecretName": "tls"},
        rewrite=[own_target(query=SCORES)],
    )
    pod = Pod.prepare(tmp_path, wanted, uri=f"postgresql://{CERTIFIED}@127.0.0.1:{hot.server.port}/{hot.name}")
    for name, source in (("ca/ca.crt", "ca.crt"), ("client/tls.crt", "client.crt"), ("client/tls.key", "client.key")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((files / source).read_bytes())
        (tmp_path / name).chmod(0o600)
    code, said = pod.run()
    assert code == 0, said


@pytest.mark.parametrize("password", ["hunter22", "p@ss:w/rd%25?&", "пароль-секрет", "a b+c%20d'\"\\"])
def test_a_wrong_password_is_told_without_any_part_of_it(tmp_path: Path, hot: Database, password: str) -> None:
    pod = Pod.prepare(tmp_path, one(), uri=with_password(hot, password))
    code, said = pod.run()
    report = pod.report()
    assert (code, report.reason) == (1, "ConnectionError")
    assert f'password authentication failed for user "{OWNER}"' in report.message
    assert "key uri of Secret discovery-db" in report.message
    assert_hidden(password, said)


def test_a_short_password_takes_the_whole_text_of_the_driver_with_it(tmp_path: Path, hot: Database) -> None:
    pod = Pod.prepare(tmp_path, one(), uri=with_password(hot, "auth"))
    assert pod.run()[0] == 1
    assert "authentication" not in pod.report().message
    assert f"as user {OWNER}" in pod.report().message


def test_a_short_password_does_so_after_connecting_too(hot: Database) -> None:
    hot.execute("ALTER ROLE discovery PASSWORD 'hot'", role="postgres")
    try:
        uri = with_password(hot, "hot")
        for broken in (spec(**one("SELECT hot")), spec(**one(slice={"id": ["hot"]}))):
            report = report_of(run(hot, broken, uri=uri), exit_code=2)
            assert "its text is left out" in report.message
            assert '"hot"' not in report.message
    finally:
        restored = sql.SQL("ALTER ROLE discovery PASSWORD {}").format(sql.Literal(hot.password))
        hot.execute(restored, role="postgres")


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://discovery:sEcReT@pw9@127.0.0.1:5432/discovery",
        "postgresql://discovery:sEcReT/pw9@127.0.0.1:5432/discovery",
        "postgresql://discovery:sEcReT%zzpw9@127.0.0.1:5432/discovery",
        "postgresql://discovery:sEcReTpw9@[127.0.0.1:5432/discovery",
        "host=127.0.0.1 password=sEcReT pw9 user=x",
        "sEcReTpw9",
    ],
)
def test_a_uri_that_cannot_be_read_is_told_as_such_without_a_part_of_it(tmp_path: Path, uri: str) -> None:
    pod = Pod.prepare(tmp_path, one(), uri=uri)
    code, said = pod.run()
    assert (code, pod.report().reason) == (2, "ConfigurationError")
    assert "key uri of Secret discovery-db is no connection URI: write postgresql://" in pod.report().message
    assert "secret" not in said.replace("Secret discovery-db", "").lower()
    assert "pw9" not in said


def test_an_unreachable_database_is_told_by_its_place_and_tried_again_by_the_job(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        pod = Pod.prepare(tmp_path, one(), uri=f"postgresql://u:xyzzy-pw9@127.0.0.1:{port}/scores")
        code, said = pod.run()
    report = pod.report()
    assert (code, report.reason) == (1, "ConnectionError")
    assert f"cannot connect to database scores at 127.0.0.1:{port} as user u" in report.message
    assert "Connection refused" in report.message
    assert report.targets == ()
    assert_hidden("xyzzy-pw9", said)


def test_a_missing_database_is_told(hot: Database) -> None:
    report = report_of(run(hot, spec(**one()), uri=hot.uri.replace(hot.name, "nowhere")), exit_code=1)
    assert 'database "nowhere" does not exist' in report.message


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"wrk_mem": "1GB"}, 'spec.database.settings.wrk_mem: unrecognized configuration parameter "wrk_mem"'),
        ({"work_mem": "much"}, 'spec.database.settings.work_mem: invalid value for parameter "work_mem": "much"'),
        ({"shared_buffers": "1GB"}, "spec.database.settings.shared_buffers: .*cannot be changed"),
        ({"log_lock_waits": "off"}, "spec.database.settings.log_lock_waits: permission denied"),
    ],
)
def test_a_setting_that_cannot_be_is_told_by_its_name(hot: Database, settings: dict[str, str], sentence: str) -> None:
    wanted = spec(database={"settings": settings}, rewrite=[own_target(query=SCORES)])
    report = report_of(run(hot, wanted), exit_code=2)
    assert report.reason == "ConfigurationError"
    assert re.search(sentence, report.message)


@pytest.mark.parametrize(
    ("fields", "code", "reason", "sentence"),
    [
        ({"table": "nope"}, 2, "ConfigurationError", "spec.rewrite[0].table: there is no table nope in database"),
        ({"query": "SELECT * FROM nope"}, 2, "ConfigurationError", 'query: relation "nope" does not exist'),
        ({"query": "SELEC 1"}, 2, "ConfigurationError", "query: syntax error"),
        ({"query": "SELECT 1 AS id; DROP TABLE hot"}, 2, "ConfigurationError", "more than one statement"),
        ({"query": "SELECT 1 AS id, 1/0 AS score"}, 2, "RunFailed", "division by zero (SQLSTATE 22012)"),
        ({"query": "SELECT 1 AS id, 'x' AS score"}, 2, "ConfigurationError", "is of type double precision"),
        ({"query": "SELECT 'x' AS id, lo_create(0) AS score"}, 2, "ConfigurationError", "query"),
        (
            {"query": "SELECT 1 AS score"},
            2,
            "ConfigurationError",
            "does not return column 'id', which is part of the key",
        ),
        ({"query": "SELECT 1 AS id, 2 AS socre"}, 2, "ConfigurationError", "has no column 'socre'; it has id, score"),
        ({"query": "SELECT 1 AS id, 2 AS id"}, 2, "ConfigurationError", "returns column 'id' twice"),
        ({"table": "trending.run"}, 2, "ConfigurationError", "trending.run is of the ledger"),
        ({"key": ["idd"]}, 2, "ConfigurationError", "spec.rewrite[0].key: table public.hot has no column 'idd'"),
        ({"stamp": "score"}, 2, "ConfigurationError", "spec.rewrite[0].stamp: column 'score'"),
        ({"slice": {"id": ["one"]}}, 2, "ConfigurationError", "spec.rewrite[0].slice.id"),
        ({"slice": {"idd": ["1"]}}, 2, "ConfigurationError", "spec.rewrite[0].slice.idd: table public.hot has no"),
    ],
)
def test_a_target_that_cannot_be_is_told_by_field_and_cause(
    hot: Database, fields: dict[str, Any], code: int, reason: str, sentence: str
) -> None:
    hot.execute("INSERT INTO hot VALUES (7, 7, '2020-01-01')")
    wanted = spec(rewrite=[own_target(**{"query": SCORES, **fields})])
    report = report_of(run(hot, wanted), exit_code=code)
    assert (report.result, report.reason) == ("Failed", reason)
    assert report.message.startswith("target own: spec.rewrite[0]")
    assert sentence in report.message
    assert (step_of(report, "own").note or "").startswith("failed: ")
    assert hot.execute("SELECT * FROM hot") != [(1, 0.5, None)]
    assert hot.execute("SELECT count(*) FROM hot") == [(1,)]


def test_a_failed_target_does_not_stop_the_others(hot: Database) -> None:
    broken = own_target(name="broken", table="nope", query=SCORES)
    failing = own_target(name="failing", slice={"id": ["2"]}, query="SELECT 1/0 AS score")
    fine = own_target(name="fine", slice={"id": ["1"]}, query="SELECT 0.5 AS score")
    report = report_of(run(hot, spec(rewrite=[broken, failing, fine])), exit_code=2)
    assert report.result == "Failed"
    assert "2 failures: target broken: " in report.message
    assert "target failing: " in report.message
    assert hot.execute("SELECT id, score FROM hot") == [(1, 0.5)]
    assert {target.name: target.rows for target in report.targets if target.data_timestamp} == {"fine": 1}


def test_one_failure_that_may_pass_makes_the_whole_run_worth_another_attempt(hot: Database) -> None:
    hot.execute(
        "CREATE FUNCTION full_disk() RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
    )
    lasting = own_target(name="lasting", slice={"id": ["1"]}, query="SELECT 1/0 AS score")
    passing = own_target(name="passing", slice={"id": ["2"]}, query="SELECT full_disk() AS score")
    report = report_of(run(hot, spec(rewrite=[lasting, passing])), exit_code=1)
    assert "no space left on device (SQLSTATE 53100)" in report.message


def test_a_target_keeps_its_old_timestamp_when_it_fails(hot: Database) -> None:
    first = report_of(run(hot, spec(**one())))
    second = report_of(run(hot, spec(**one("SELECT 1 AS id, 1/0 AS score"))), exit_code=2)
    assert second.targets[0].data_timestamp == first.data_timestamp
    assert second.targets[0].rows == 1


def test_two_targets_for_the_same_rows_are_refused(hot: Database) -> None:
    one_way = own_target(name="one-way", slice={"id": ["1", "2"]}, query=SCORES)
    other = own_target(name="other", slice={"id": ["02"]}, query="SELECT 1 AS score")
    report = report_of(run(hot, spec(rewrite=[one_way, other])), exit_code=2)
    assert "targets one-way and other both rewrite rows of public.hot" in report.message


KIN = {
    "partitions": (
        "CREATE TABLE hot (kind text, id int, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);"
        "CREATE TABLE hot_a PARTITION OF hot FOR VALUES IN ('a') PARTITION BY HASH (id);"
        "CREATE TABLE hot_a_0 PARTITION OF hot_a FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE hot_b PARTITION OF hot FOR VALUES IN ('b')"
    ),
    "children": (
        "CREATE TABLE hot (kind text, id int, PRIMARY KEY (kind, id)); CREATE TABLE hot_a (CHECK (kind = 'a'),"
        "PRIMARY KEY (kind, id)) INHERITS (hot); CREATE TABLE hot_a_0 (PRIMARY KEY (kind, id)) INHERITS (hot_a)"
    ),
}


@pytest.mark.parametrize("tables", KIN.values(), ids=KIN.keys())
def test_rows_of_a_table_are_those_of_its_parts_too(database: Database, tables: str) -> None:
    database.execute(tables)
    ledger(database)

    def two(part: str, kind: str) -> TrendingScheduleSpec:
        one = own_target(name="whole", slice={"kind": [kind]}, query="SELECT 1 AS id", maxDeletePercent=100)
        other = own_target(name="part", table=part, slice={}, query="SELECT 'a' AS kind, 2 AS id")
        return spec(rewrite=[other, one])

    for part in ("hot_a", "hot_a_0"):
        message = report_of(run(database, two(part, "a")), exit_code=2).message
        assert f"targets part and whole both rewrite rows of public.{part} that are rows of public.hot" in message
        assert database.execute("SELECT * FROM hot") == []
        report_of(run(database, two(part, "b")))
        assert database.execute("SELECT kind, id FROM hot ORDER BY 1") == [("a", 2), ("b", 1)]
        database.execute("DELETE FROM hot")


def test_a_role_without_rights_is_told_which(hot: Database) -> None:
    hot.execute(f'GRANT USAGE ON SCHEMA trending TO "{CERTIFIED}"')
    uri = f"postgresql://{CERTIFIED}@/{hot.name}?host={hot.server.folder}&port={hot.server.port}"
    report = report_of(run(hot, spec(**one()), uri=uri), exit_code=2)
    assert "the ledger: permission denied for table run (SQLSTATE 42501)" in report.message


def test_a_document_that_is_none_is_reported_as_such(tmp_path: Path) -> None:
    pod = Pod.prepare(tmp_path, {**one(), "rewrite": []}, uri="postgresql://u@h/d")
    code, _ = pod.run()
    assert (code, pod.report().reason) == (2, "ConfigurationError")
    assert "document.spec: spec.rewrite needs at least one target" in pod.report().message


def test_standard_output_of_a_pod_is_the_whole_report_alone(tmp_path: Path, hot: Database) -> None:
    pod = Pod.prepare(tmp_path, one(), uri=hot.uri)
    process = pod.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.count("\n") == 1
    assert out.startswith('{"job": "hourly-29000000"')
    assert_hidden(hot.password, out + err)


def test_without_a_database_the_command_says_how_to_give_one(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "schedule.yaml"
    document = {"apiVersion": "trending.dev/v1", "kind": "TrendingSchedule", "metadata": {"name": "x"}, "spec": one()}
    file.write_text(yaml.safe_dump(document))
    process = start("run", "-f", str(file))
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "set TRENDING_DATABASE_URI, or write --database URI" in out
