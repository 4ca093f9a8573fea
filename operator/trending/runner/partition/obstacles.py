"""What hangs on a table and would not come along when another table takes its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from trending.runner.partition.original import Original

Connection = psycopg.Connection[Any]

_AGAIN: Final = "drop it first, and make it again afterwards"

# Each row: what is in the way, and what to do. %(tree)s: the table and its partitions.
_QUERIES: Final = (
    """
    SELECT format('%%s %%I.%%I reads it', CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
            n.nspname, c.relname),
        'keep its definition (pg_get_viewdef), ' || %(again)s
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND c.oid IN (
        SELECT r.ev_class FROM pg_depend AS d
        JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        LEFT JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid)
        LEFT JOIN pg_type AS e ON e.typarray = t.oid AND t.typarray = 0
        WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(tree)s))
            OR coalesce(nullif(t.typrelid, 0), e.typrelid) = ANY(%(tree)s)) ORDER BY 1
    """,
    """
    SELECT format('foreign key %%I of %%s %%s', conname, conrelid::regclass, CASE WHEN conrelid = ANY(%(tree)s)
            THEN 'refers to ' || confrelid::regclass ELSE 'refers to it' END),
        'drop it (ALTER TABLE .. DROP CONSTRAINT): an exchanged partition cannot keep it'
    FROM pg_constraint
    WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY(%(tree)s) OR confrelid = ANY(%(tree)s)) ORDER BY 1
    """,
    """
    SELECT format('trigger %%I fires on %%s', tgname, tgrelid::regclass), 'drop it: Swap would not fire it'
    FROM pg_trigger AS t WHERE tgrelid = ANY(%(tree)s) AND NOT tgisinternal
        AND tgparentid = 0 ORDER BY 1
    """,
    """
    SELECT format('publication %%I sends it to subscribers', p.pubname),
        CASE WHEN p.puballtables OR pn.oid IS NOT NULL THEN 'make it a publication of named tables without this one'
            ELSE 'take it out (ALTER PUBLICATION .. DROP TABLE)' END
    FROM pg_publication AS p
    LEFT JOIN pg_publication_namespace AS pn ON pn.pnpubid = p.oid
        AND pn.pnnspid = (SELECT relnamespace FROM pg_class WHERE oid = %(oid)s)
    WHERE p.puballtables OR pn.oid IS NOT NULL
        OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = ANY(%(tree)s)) ORDER BY 1
    """,
    """
    SELECT 'a subscription of this database writes it', 'take it out of what the subscription receives'
    FROM pg_subscription_rel WHERE srrelid = ANY(%(tree)s) LIMIT 1
    """,
    """
    SELECT format('row policy %%I guards %%s', polname, polrelid::regclass), %(again)s
    FROM pg_policy WHERE polrelid = ANY(%(tree)s)
    UNION ALL SELECT format('row security is enabled on %%s', oid::regclass),
        'disable it (ALTER TABLE .. DISABLE ROW LEVEL SECURITY)'
    FROM pg_class WHERE oid = ANY(%(tree)s) AND relrowsecurity ORDER BY 1
    """,
    """
    SELECT format('rule %%I rewrites statements on %%s', rulename, ev_class::regclass), %(again)s
    FROM pg_rewrite WHERE ev_class = ANY(%(tree)s) ORDER BY 1
    """,
    """
    SELECT format('it inherits from %%s', inhparent::regclass),
        'only a table on its own can be exchanged (NO INHERIT, DETACH PARTITION)'
    FROM pg_inherits WHERE inhrelid = %(oid)s
    UNION ALL SELECT format('%%s inherits from it', inhrelid::regclass), 'take it out (ALTER TABLE .. NO INHERIT)'
    FROM pg_inherits WHERE inhparent = ANY(%(tree)s) AND NOT inhrelid = ANY(%(tree)s) ORDER BY 1
    """,
    """
    SELECT format('column %%I is an identity column', attname),
        'give it a sequence of its own instead (ALTER COLUMN .. DROP IDENTITY, CREATE SEQUENCE .. OWNED BY, '
            || 'SET DEFAULT nextval(..)): partitions cannot share an identity before PostgreSQL 17'
    FROM pg_attribute WHERE attrelid = %(oid)s AND attidentity <> '' AND NOT attisdropped ORDER BY 1
    """,
    """
    SELECT format('constraint %%I excludes rows', conname), 'drop it: partitions cannot exclude each other''s rows'
    FROM pg_constraint WHERE conrelid = ANY(%(tree)s) AND contype = 'x' AND conparentid = 0 ORDER BY 1
    """,
    """
    SELECT format('constraint %%I is NOT VALID', conname),
        'have it checked (ALTER TABLE .. VALIDATE CONSTRAINT), or drop it'
    FROM pg_constraint WHERE conrelid = ANY(%(tree)s) AND contype IN ('c', 'n') AND NOT convalidated
        AND conislocal ORDER BY 1
    """,
    """
    SELECT format('CHECK constraint %%I of %%s says NO INHERIT', conname, conrelid::regclass),
        'drop it, or make it again without'
    FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'c' AND connoinherit ORDER BY 1
    """,
    """
    SELECT format('index %%s is not valid', indexrelid::regclass), 'drop it, or have it built again (REINDEX)'
    FROM pg_index WHERE indrelid = %(oid)s AND NOT indisvalid ORDER BY 1
    """,
    """
    SELECT format('its replica identity is %%s', CASE relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
            ELSE 'an index' END), 'set it back (ALTER TABLE .. REPLICA IDENTITY DEFAULT)'
    FROM pg_class WHERE oid = %(oid)s AND relreplident <> 'd'
    """,
    """
    SELECT CASE WHEN relpersistence = 't' THEN 'it is a temporary table' WHEN relpersistence = 'u'
            THEN format('%%s is unlogged', oid::regclass)
            WHEN reloftype <> 0 THEN 'it is a typed table (CREATE TABLE .. OF)'
            ELSE format('%%s is a foreign table', oid::regclass) END,
        CASE WHEN relpersistence = 'u'
            THEN 'make it logged (ALTER TABLE .. SET LOGGED): an unlogged one is empty after a crash'
            ELSE 'there is no way round' END
    FROM pg_class WHERE oid = ANY(%(tree)s) AND (relpersistence <> 'p' OR reloftype <> 0 OR relkind = 'f') ORDER BY 1
    """,
    """
    SELECT format('it carries a security label of %%s', provider),
        'take the label away first, and set it again afterwards'
    FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = ANY(%(tree)s) ORDER BY 1
    """,
    """
    SELECT format('it belongs to extension %%I', e.extname), 'leave it to the extension'
    FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = ANY(%(tree)s) AND d.deptype = 'e' ORDER BY 1
    """,
    # Whatever else depends on it or on its row type: functions, columns of its row type, casts, operators ..
    """
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) || ' depends on it', %(again)s
    FROM pg_depend AS d
    LEFT JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
    LEFT JOIN pg_type AS e ON t.typarray = 0 AND e.typarray = t.oid
    LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    LEFT JOIN pg_attrdef AS v ON d.classid = 'pg_attrdef'::regclass AND v.oid = d.objid
    LEFT JOIN pg_constraint AS con ON d.classid = 'pg_constraint'::regclass AND con.oid = d.objid
    WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(tree)s))
            OR coalesce(nullif(t.typrelid, 0), e.typrelid) = ANY(%(tree)s))
        AND NOT d.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass,
            'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass, 'pg_type'::regclass)
        AND NOT coalesce(c.relkind IN ('i', 'I', 'S', 't', 'v', 'm') OR c.oid = ANY(%(tree)s)
            OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%(tree)s)), false)
        AND NOT coalesce(v.adrelid = ANY(%(tree)s), false)
        AND NOT coalesce(con.conrelid = ANY(%(tree)s) OR con.contype = 'f', false) ORDER BY 1
    """,
)
_TREE: Final = """
    SELECT array_agg(relid::oid) FROM (SELECT %(oid)s::oid AS relid
        UNION SELECT relid::oid FROM pg_partition_tree(%(oid)s) WHERE %(is_partitioned)s) AS tree
"""
_UNIQUE: Final = """
    SELECT i.relname::text, con.contype::text, ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = x.indrelid AND a.attnum = ANY((x.indkey::int2[])[0:x.indnkeyatts - 1]))
    FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
    LEFT JOIN pg_constraint AS con ON con.conindid = i.oid AND con.conrelid = x.indrelid AND con.contype IN ('p', 'u')
    WHERE x.indrelid = %s AND x.indisunique ORDER BY 1
"""
_RIGHTS: Final = """
    SELECT pg_has_role(c.relowner,
            CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END),
        has_schema_privilege(c.relowner, c.relnamespace, 'CREATE')
    FROM pg_class AS c WHERE c.oid = %s
"""


def find_obstacles(connection: Connection, original: Original, by: Sequence[str]) -> list[str]:
    """List what is in the way, each with what to do about it; catalog queries only."""
    table = original.table
    parameters: dict[str, Any] = {"oid": table.oid, "is_partitioned": original.is_partitioned, "again": _AGAIN}
    tree = connection.execute(_TREE, parameters).fetchone()
    parameters["tree"] = tree[0] if tree else [table.oid]
    found = _rights(connection, original)
    for query in _QUERIES:
        found += [f"{what}: {remedy}" for what, remedy in connection.execute(query, parameters)]
    if original.is_partitioned:
        return found
    for name in by:
        if table.columns[name].is_generated:
            found.append(f"column {name!r} is generated: a table cannot be partitioned by it")
    for name, kind, columns in connection.execute(_UNIQUE, [table.oid]):
        if missing := [each for each in by if each not in columns]:
            what = {"p": "primary key", "u": "unique constraint"}.get(kind, "unique index")
            found.append(
                f"{what} {name} lacks {', '.join(missing)}: a partitioned table is unique only together with the "
                "columns it is partitioned by; drop it, or make it again with them"
            )
    return found


def _rights(connection: Connection, original: Original) -> list[str]:
    row = connection.execute(_RIGHTS, [original.table.oid]).fetchone()
    may_be_owner, may_create = row or (False, False)
    owner, schema = original.relation.owner, original.table.schema
    found = []
    if not may_be_owner:
        found.append(
            f"role {connection.info.user} is not the owner, {owner}, nor a member of that role: connect as "
            f'{owner}, or GRANT "{owner}" to it'
        )
    if not may_create:
        found.append(f"its owner {owner} may not make tables in schema {schema}: GRANT CREATE ON SCHEMA to it")
    return found
