"""What hangs on a partition or its table and keeps it from being swapped is found before anything is built."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.server import ADMIN, OWNER, Database
from tests.postgres.swaps import SCORES, found, ranking, swapped, why_not

FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"


@pytest.fixture
def scores(database: Database) -> Database:
    database.execute(SCORES)
    return database


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            FUNCTION + "CREATE TRIGGER t BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION f()",
            "trigger t on scores",
        ),
        (
            FUNCTION + "CREATE TRIGGER t AFTER DELETE ON scores_v1 FOR EACH STATEMENT EXECUTE FUNCTION f()",
            "trigger t on scores_v1 would not see the rows",
        ),
        (FUNCTION + "CREATE TRIGGER t AFTER UPDATE ON scores_v1_week EXECUTE FUNCTION f()", "trigger t on scores_v1_w"),
        ("CREATE RULE r AS ON DELETE TO scores DO ALSO NOTIFY x", "rule r on scores would not see the rows"),
        (
            (
                "CREATE TABLE tracks (id int PRIMARY KEY); INSERT INTO tracks SELECT generate_series(1, 100);"
                "ALTER TABLE scores ADD CONSTRAINT fk FOREIGN KEY (track_id) REFERENCES tracks"
            ),
            "foreign key fk of scores refers to tracks",
        ),
        (
            "CREATE TABLE likes (t int, v varchar, s varchar, CONSTRAINT fk FOREIGN KEY (t, v, s) REFERENCES scores)",
            "foreign key fk of likes refers to scores",
        ),
        (
            (
                "CREATE TABLE likes (t int, v varchar, s varchar, "
                "CONSTRAINT fk FOREIGN KEY (t, v, s) REFERENCES scores_v1_week)"
            ),
            "foreign key fk of likes refers to scores_v1_week",
        ),
        ("ALTER TABLE scores_v1_week ENABLE ROW LEVEL SECURITY", "row security is on for scores_v1_week"),
        (
            "ALTER TABLE scores ENABLE ROW LEVEL SECURITY; ALTER TABLE scores FORCE ROW LEVEL SECURITY",
            "row security is on for scores",
        ),
        ("CREATE POLICY p ON scores_v1_week USING (true)", "policy p is bound to scores_v1_week"),
        ("CREATE PUBLICATION p FOR TABLE scores", "publication p replicates scores"),
        ("CREATE PUBLICATION p FOR TABLE scores_v1_week", "publication p replicates scores_v1_week"),
        ("CREATE VIEW v AS SELECT * FROM scores_v1_week", "view v depends on scores_v1_week"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 FROM scores_v1_week", "view v depends on scores_v1_week"),
        (
            "CREATE FUNCTION rows() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM scores_v1_week; END",
            "function rows() depends on scores_v1_week",
        ),
        ("CREATE FUNCTION g(scores_v1_week) RETURNS int LANGUAGE sql AS 'SELECT 1'", "depends on scores_v1_week"),
        ("CREATE TABLE log (old scores_v1_week[])", "column old of table log depends on scores_v1_week"),
        (
            "CREATE SEQUENCE s OWNED BY scores_v1_week.score",
            "sequence s belongs to a column of scores_v1_week",
        ),
        ("REVOKE SELECT ON scores_v1_week FROM discovery", "discovery has no SELECT on scores_v1_week"),
        ("REVOKE ALL ON scores_v1 FROM discovery", "discovery may not lock scores_v1, for want of UPDATE, DELETE and"),
        ("ALTER TABLE scores_v1_week SET UNLOGGED", "scores_v1_week is unlogged: a crash would empty it"),
        (
            "CREATE INDEX half ON ONLY scores_v1 (genre)",
            "index half of scores_v1 is not on partition scores_v1_week",
        ),
        (
            "CREATE TABLE rest PARTITION OF scores_v1 DEFAULT; INSERT INTO scores VALUES (1, '', 'v1', 'year')",
            "public.rest, the DEFAULT partition, has rows, which each exchange would read",
        ),
    ],
)
def test_what_hangs_on_it_is_named(scores: Database, made: str, sentence: str) -> None:
    scores.execute(made)
    assert sentence in why_not(scores)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("CREATE PUBLICATION p FOR ALL TABLES", "publication p replicates scores"),
        ("CREATE PUBLICATION p FOR TABLES IN SCHEMA public", "publication p replicates scores"),
        ("ALTER TABLE scores_v1 OWNER TO postgres", "scores_v1 is owned by postgres, which discovery is no member of"),
        ("ALTER TABLE scores_v1_week OWNER TO postgres", "scores_v1_week is owned by postgres"),
        ("ALTER SCHEMA public OWNER TO postgres", "discovery has no right to create tables in schema public"),
        (
            (
                "CREATE FOREIGN DATA WRAPPER none; CREATE SERVER s FOREIGN DATA WRAPPER none;"
                "DROP TABLE scores_v1_week; ALTER TABLE scores DROP CONSTRAINT scores_pkey;"
                "CREATE FOREIGN TABLE scores_v1_week PARTITION OF scores_v1 FOR VALUES IN ('week') SERVER s; "
                "ALTER TABLE scores_v1_week OWNER TO discovery"
            ),
            "scores_v1_week is a foreign table",
        ),
    ],
)
def test_what_an_administrator_has_set_is_named(scores: Database, made: str, sentence: str) -> None:
    scores.execute(made, role=ADMIN)
    assert sentence in why_not(scores)


def test_what_hangs_on_other_partitions_or_on_the_table_alone_is_not_in_the_way(scores: Database) -> None:
    scores.execute(
        FUNCTION + "CREATE TRIGGER t AFTER UPDATE ON scores_v1_month FOR EACH ROW EXECUTE FUNCTION f();"
        "CREATE TRIGGER t AFTER UPDATE ON scores_v2 FOR EACH ROW EXECUTE FUNCTION f();"
        "CREATE VIEW all_scores AS SELECT * FROM scores; CREATE VIEW months AS SELECT * FROM scores_v1_month;"
        "CREATE FUNCTION best(scores) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE PUBLICATION p FOR TABLE scores_v2;"
        "CREATE TABLE rest PARTITION OF scores_v1 DEFAULT;"
        "CREATE TABLE other PARTITION OF scores DEFAULT; INSERT INTO scores VALUES (1, '', 'v9', 'year');"
        "ALTER TABLE scores ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON scores USING (span = 'week')"
    )
    with scores.connect(role=OWNER, autocommit=True) as connection:
        assert [leaf.node.name for leaf in found(connection).leaves] == ["scores_v1_week"]
        swapped(connection, ranking(3))
    assert scores.execute("SELECT sum(score) FROM all_scores WHERE version = 'v1' AND span = 'week'") == [(15150,)]


def test_what_a_failed_build_of_an_index_has_left_is_named(scores: Database) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        scores.execute("CREATE UNIQUE INDEX CONCURRENTLY once ON scores_v1_week (genre)")
    assert "index once of scores_v1_week is not valid: drop it, or REINDEX it" in why_not(scores)
    scores.execute("DROP INDEX once")
    with scores.connect(role=OWNER, autocommit=True) as connection:
        swapped(connection, ranking(3))


def test_a_publication_of_the_table_whose_partition_is_the_target_is_named(scores: Database) -> None:
    scores.execute("CREATE PUBLICATION p FOR TABLE scores")
    assert "publication p replicates scores" in why_not(scores, {"span": ["week"]}, table="scores_v1")


@pytest.mark.parametrize("what", ["TABLE scores_v1_week", "INDEX scores_v1_week_pkey"])
def test_a_tablespace_that_the_role_may_not_create_in_is_named(scores: Database, what: str) -> None:
    space = f"fast_{scores.name}"
    with scores.connect(role=ADMIN, autocommit=True) as admin, scores.connect(role=OWNER, autocommit=True) as owner:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute(f"CREATE TABLESPACE {space} LOCATION ''".encode())
        try:
            admin.execute(f"ALTER {what} SET TABLESPACE {space}".encode())
            name = what.partition(" ")[2]
            assert f"discovery has no right to create in tablespace {space}, which {name} is in" in why_not(scores)
            admin.execute(f"GRANT CREATE ON TABLESPACE {space} TO discovery".encode())
            swapped(owner, ranking(3))
            query = "SELECT spcname FROM pg_class JOIN pg_tablespace AS t ON t.oid = reltablespace WHERE relname = %s"
            assert admin.execute(query, [name]).fetchall() == [(space,)]
        finally:
            admin.execute(f"ALTER {what} SET TABLESPACE pg_default".encode())
            admin.execute(f"DROP TABLESPACE {space}".encode())
