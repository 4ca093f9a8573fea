"""What hangs on a table and would be lost is listed, each with what to do, and nothing is touched."""

from __future__ import annotations

import pytest

from tests.postgres.partitions import checksum, outlined, partition
from tests.postgres.server import ADMIN, Database
from trending.runner.partition import Request, prepare
from trending.runner.partition.work import ObstaclesError

TABLE = """
    CREATE TABLE t (board text NOT NULL, id int, score float8, at timestamptz);
    INSERT INTO t SELECT 'b' || g % 2, g, g FROM generate_series(1, 20) AS g;
    CREATE TABLE other (id int PRIMARY KEY);
"""
OBSTACLES = {
    "a view": ("CREATE VIEW v AS SELECT * FROM t", "view public.v reads it"),
    "a materialized view": ("CREATE MATERIALIZED VIEW v AS SELECT id FROM t", "materialized view public.v reads it"),
    "a view by row type": ("CREATE VIEW v AS SELECT NULL::t AS x", "view public.v reads it"),
    "a view by array": ("CREATE VIEW v AS SELECT NULL::t[] AS x", "view public.v reads it"),
    "a foreign key out": (
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES other NOT VALID",
        "foreign key f",
    ),
    "a foreign key in": (
        """ALTER TABLE t ADD CONSTRAINT u UNIQUE (board, id);
        ALTER TABLE other ADD b text, ADD CONSTRAINT f FOREIGN KEY (b, id) REFERENCES t (board, id)""",
        "foreign key f of other refers to it",
    ),
    "a trigger": (
        """CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g()""",
        "trigger tr fires on t",
    ),
    "a publication": ("CREATE PUBLICATION p FOR TABLE t", "publication p sends it to subscribers"),
    "a row policy": ("CREATE POLICY p ON t USING (true)", "row policy p guards t"),
    "row security": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "row security is enabled on t"),
    "a rule": ("CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING", "rule r rewrites statements on t"),
    "a child": ("CREATE TABLE c () INHERITS (t)", "c inherits from it"),
    "a parent": ("CREATE TABLE c (board text); ALTER TABLE t INHERIT c", "it inherits from c"),
    "a primary key": ("ALTER TABLE t ADD PRIMARY KEY (id)", "primary key t_pkey lacks board"),
    "a unique constraint": ("ALTER TABLE t ADD CONSTRAINT u UNIQUE (id)", "unique constraint u lacks board"),
    "a unique index": ("CREATE UNIQUE INDEX u ON t (id) INCLUDE (board)", "unique index u lacks board"),
    "a unique expression": ("CREATE UNIQUE INDEX u ON t (lower(board), id)", "unique index u lacks board"),
    "an identity": ("ALTER TABLE t ADD n int GENERATED ALWAYS AS IDENTITY", "column n is an identity column"),
    "an exclusion": ("ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (id WITH =)", "constraint x excludes rows"),
    "a replica identity": ("ALTER TABLE t REPLICA IDENTITY FULL", "its replica identity is FULL"),
    "an unchecked constraint": ("ALTER TABLE t ADD CONSTRAINT k CHECK (id > 0) NOT VALID", "constraint k is NOT VALID"),
    "a lonely constraint": ("ALTER TABLE t ADD CONSTRAINT k CHECK (id > 0) NO INHERIT", "says NO INHERIT"),
    "a function of its row": ("CREATE FUNCTION f(t) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function f(t) depends"),
    "a function of its rows": (
        "CREATE FUNCTION f(t[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "function f(t[]) depends",
    ),
    "a parsed function": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT id FROM t; END",
        "function f() depends",
    ),
    "a column of its row type": ("ALTER TABLE other ADD x t", "column x of table other depends on it"),
    "an unlogged table": ("ALTER TABLE t SET UNLOGGED", "t is unlogged"),
    "a generated column": (
        "ALTER TABLE t DROP board; ALTER TABLE t ADD board text GENERATED ALWAYS AS (id::text) STORED",
        "column 'board' is generated",
    ),
}
"""What is made, and how it is told."""
_OF_THE_UNDONE = (
    "a view",
    "a materialized view",
    "a view by row type",
    "a foreign key out",
    "a trigger",
    "a row policy",
)


@pytest.fixture
def table(database: Database) -> Database:
    database.execute(TABLE)
    return database


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_would_be_lost_is_named_and_nothing_changes(table: Database, what: str) -> None:
    made, told = OBSTACLES[what]
    table.execute(made)
    before, outline = checksum(table, "t"), outlined(table, "t")
    with pytest.raises(ObstaclesError) as raised:
        partition(table, "t", by=("board",))
    lines = str(raised.value).splitlines()
    assert len(lines) == 1, lines
    assert told in lines[0]
    assert (checksum(table, "t"), outlined(table, "t")) == (before, outline)


@pytest.mark.parametrize("what", _OF_THE_UNDONE)
def test_the_way_back_refuses_likewise(table: Database, what: str) -> None:
    partition(table, "t", by=("board",))
    made, told = OBSTACLES[what]
    table.execute(made.replace(" NOT VALID", "")) if what != "a foreign key out" else table.execute(
        "INSERT INTO other SELECT id FROM t; ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES other"
    )
    with pytest.raises(ObstaclesError) as raised:
        partition(table, "t", undo=True)
    assert told in str(raised.value)
    assert checksum(table, "t")[0][0] == 20


def test_what_hangs_on_a_partition_is_found_on_the_way_back(table: Database) -> None:
    partition(table, "t", by=("board",))
    table.execute("CREATE VIEW v AS SELECT * FROM t_b1; CREATE PUBLICATION p FOR TABLE t_b0")
    with pytest.raises(ObstaclesError) as raised:
        partition(table, "t", undo=True)
    assert "view public.v reads it" in str(raised.value)
    assert "publication p" in str(raised.value)


def test_publications_of_everything_are_obstacles_too(table: Database) -> None:
    table.execute("CREATE PUBLICATION everything FOR ALL TABLES; ", role=ADMIN)
    table.execute("CREATE PUBLICATION schema FOR TABLES IN SCHEMA public", role=ADMIN)
    with pytest.raises(ObstaclesError) as raised:
        partition(table, "t", by=("board",))
    assert len(str(raised.value).splitlines()) == 2


def test_all_obstacles_are_listed_at_once(table: Database) -> None:
    table.execute(
        "CREATE VIEW v AS SELECT * FROM t; ALTER TABLE t ADD PRIMARY KEY (id); CREATE PUBLICATION p FOR TABLE t"
    )
    with table.connect(autocommit=True) as connection:
        assert len(prepare(connection, Request(table="t", by=("board",))).obstacles) == 3


def test_who_is_not_the_owner_is_told(table: Database) -> None:
    table.execute("CREATE ROLE stranger LOGIN", role=ADMIN)
    try:
        table.execute("GRANT ALL ON t TO stranger")
        with pytest.raises(ObstaclesError, match="role stranger is not the owner, discovery"):
            partition(table, "t", by=("board",), role="stranger")
    finally:
        table.execute("DROP OWNED BY stranger; DROP ROLE stranger", role=ADMIN)


def test_a_member_of_the_owner_makes_everything_the_owners(table: Database) -> None:
    table.execute("CREATE ROLE partitioner LOGIN IN ROLE discovery", role=ADMIN)
    try:
        partition(table, "t", by=("board",), role="partitioner")
        owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^t_|^t$'"
        assert table.execute(owners) == [("discovery",)]
    finally:
        table.execute("DROP OWNED BY partitioner; DROP ROLE partitioner", role=ADMIN)


def test_an_owner_who_may_make_no_tables_in_the_schema_is_told(table: Database) -> None:
    table.execute("CREATE ROLE poor LOGIN", role=ADMIN)
    try:
        table.execute("ALTER TABLE t OWNER TO poor", role=ADMIN)
        with pytest.raises(ObstaclesError, match="owner poor may not make tables in schema public"):
            partition(table, "t", by=("board",), role="poor")
    finally:
        table.execute("DROP OWNED BY poor; DROP ROLE poor", role=ADMIN)
