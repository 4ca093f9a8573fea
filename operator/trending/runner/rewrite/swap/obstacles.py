"""What hangs on a table so that its partitions cannot be exchanged without somebody losing something."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from trending.runner.rewrite.swap.tree import ChangedError, Found, Obstacle

Connection = psycopg.Connection[Any]

# Each gives sentences. %(path)s are the oids of the root, the tables above the leaves, and the leaves; %(root)s and
# %(leaves)s are those.
_OBSTACLES: Final = (
    # Rights.
    """
    SELECT format('%%s is owned by %%I, which %%I is no member of', c.oid::regclass, o.rolname, current_user)
    FROM pg_class AS c JOIN pg_roles AS o ON o.oid = c.relowner
    WHERE c.oid = ANY(%(path)s) AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
    """,
    """
    SELECT format('%%I cannot become %%I, the owner of %%s', current_user, o.rolname, c.oid::regclass)
    FROM pg_class AS c JOIN pg_roles AS o ON o.oid = c.relowner
    WHERE c.oid = ANY(%(leaves)s) AND o.rolname <> current_user
        AND NOT pg_has_role(current_user, c.relowner, {become})
    """,
    """
    SELECT format('%%I has no right to create tables in schema %%I', r.name, n.nspname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (VALUES (current_user), (pg_get_userbyid(c.relowner))) AS r (name)
    WHERE c.oid = ANY(%(leaves)s) AND NOT has_schema_privilege(r.name, n.oid, 'CREATE')
    """,
    # An index has a tablespace of its own; in the database's, which is 0, everybody may.
    """
    SELECT format('%%I has no right to create in tablespace %%I, which %%s is in', current_user, t.spcname,
        c.oid::regclass)
    FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace
    WHERE (c.oid = ANY(%(leaves)s) OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ANY(%(leaves)s)))
        AND NOT has_tablespace_privilege(t.oid, 'CREATE')
    """,
    """
    SELECT format('%%I may not lock %%s, for want of UPDATE, DELETE and TRUNCATE', current_user, oid::regclass)
    FROM pg_class WHERE oid = ANY(%(path)s) AND NOT has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE')
    """,
    """
    SELECT format('%%I has no SELECT on %%s', current_user, oid::regclass)
    FROM pg_class WHERE oid = ANY(%(leaves)s) AND NOT has_table_privilege(oid, 'SELECT')
    """,
    # What kind of table it is.
    """
    SELECT format('%%s is %%s', oid::regclass, CASE WHEN relkind <> 'r' THEN 'a foreign table'
        WHEN relpersistence = 'u' THEN 'unlogged: a crash would empty it' ELSE 'a temporary table' END)
    FROM pg_class WHERE oid = ANY(%(leaves)s) AND (relkind <> 'r' OR relpersistence <> 'p')
    """,
    # What would be passed by, since Swap writes no row of the old partition.
    """
    SELECT format('trigger %%I on %%s would not see the rows', tgname, tgrelid::regclass)
    FROM pg_trigger WHERE tgrelid = ANY(%(path)s) AND NOT tgisinternal
    """,
    """
    SELECT format('rule %%I on %%s would not see the rows', rulename, ev_class::regclass)
    FROM pg_rewrite WHERE ev_class = ANY(%(path)s)
    """,
    """
    SELECT format('foreign key %%I of %%s refers to %%s', conname, conrelid::regclass, confrelid::regclass)
    FROM pg_constraint WHERE contype = 'f' AND (conrelid = ANY(%(path)s) OR confrelid = ANY(%(path)s))
    """,
    """
    SELECT format('row security is on for %%s', oid::regclass)
    FROM pg_class WHERE oid = ANY(%(path)s) AND (relforcerowsecurity OR relrowsecurity AND oid <> %(root)s)
    """,
    """
    SELECT format('policy %%I is bound to %%s', polname, polrelid::regclass)
    FROM pg_policy WHERE polrelid = ANY(%(path)s) AND polrelid <> %(root)s
    """,
    # Replicas would not get the exchange, and would get the building of a table that they do not have.
    """
    SELECT format('publication %%I replicates %%s', p.pubname, c.oid::regclass)
    FROM pg_class AS c, pg_publication AS p
    WHERE (c.oid = ANY(%(path)s) OR c.oid IN (SELECT relid FROM pg_partition_ancestors(%(root)s::oid::regclass)))
        AND (p.puballtables
        OR EXISTS (SELECT FROM pg_publication_rel AS r WHERE r.prpubid = p.oid AND r.prrelid = c.oid)
        OR EXISTS (SELECT FROM pg_publication_namespace AS s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace))
    """,
    """
    SELECT format('a subscription writes to %%s', srrelid::regclass)
    FROM pg_subscription_rel WHERE srrelid = ANY(%(path)s)
    """,
    # What would go with the old partition, or keep it from being dropped.
    """
    SELECT format('%%s depends on %%s', coalesce(
        (SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0) FROM pg_rewrite AS r
            WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid),
        pg_describe_object(d.classid, d.objid, d.objsubid)), c.oid::regclass)
    FROM pg_class AS c JOIN pg_type AS row ON row.oid = c.reltype
    JOIN pg_depend AS d ON d.deptype = 'n' AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
        OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (row.oid, row.typarray))
    WHERE c.oid = ANY(%(leaves)s) AND NOT EXISTS (
        SELECT FROM pg_depend AS own WHERE own.classid = d.classid AND own.objid = d.objid
            AND own.refclassid = 'pg_class'::regclass AND own.refobjid = c.oid AND own.deptype <> 'n')
    """,
    """
    SELECT format('sequence %%s belongs to a column of %%s', s.oid::regclass, d.refobjid::regclass)
    FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(%(leaves)s)
    """,
    """
    SELECT format('%%s belongs to an extension', objid::regclass)
    FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = ANY(%(path)s) AND deptype = 'e'
    """,
    """
    SELECT format('%%s has a security label', objoid::regclass)
    FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = ANY(%(leaves)s)
    """,
    # What a CREATE INDEX or REINDEX CONCURRENTLY is at, or has left when it failed: made anew it would be built in
    # full, or fail where that has failed.
    """
    SELECT format('index %%s of %%s is not valid: drop it, or REINDEX it', indexrelid::regclass, indrelid::regclass)
    FROM pg_index WHERE indrelid = ANY(%(leaves)s) AND NOT (indisvalid AND indisready AND indislive)
    """,
    # What ATTACH would make under its lock.
    """
    SELECT format('index %%s of %%s is not on partition %%s', above.indexrelid::regclass, above.indrelid::regclass,
        i.inhrelid::regclass)
    FROM pg_inherits AS i JOIN pg_index AS above ON above.indrelid = i.inhparent
    WHERE i.inhrelid = ANY(%(leaves)s) AND NOT EXISTS (
        SELECT FROM pg_inherits AS x JOIN pg_index AS own ON own.indexrelid = x.inhrelid
        WHERE x.inhparent = above.indexrelid AND own.indrelid = i.inhrelid)
    """,
)


def find_obstacle(connection: Connection, found: Found) -> Obstacle | None:
    """Return the first thing that keeps these leaves from being exchanged; None where nothing does."""
    become = "SET" if connection.info.server_version >= 160000 else "MEMBER"
    leaves, above = [leaf.oid for leaf in found.leaves], [node.oid for node in found.above]
    known = {"leaves": leaves, "path": above + leaves, "root": above[0]}
    query = sql.SQL("{} ORDER BY 1 LIMIT 1").format(
        sql.SQL(" UNION ALL ").join(
            sql.SQL("(SELECT {}, told.* FROM ({}) AS told)").format(
                at, sql.SQL(each).format(become=sql.Literal(become))
            )
            for at, each in enumerate(_OBSTACLES)
        )
    )
    row = connection.execute(query, known).fetchone()
    return Obstacle(row[1]) if row else _full_default(connection, found)


def _full_default(connection: Connection, found: Found) -> Obstacle | None:
    """ATTACH reads the whole DEFAULT partition beside it, under an exclusive lock."""
    parents = {leaf.parent for leaf in found.leaves}
    for default in found.defaults:
        if default.parent not in parents:
            continue
        try:
            row = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(default.identifier)).fetchone()
        except psycopg.errors.UndefinedTable:
            raise ChangedError(f"{default.qualified} was dropped while it was looked up") from None
        if row and row[0]:
            return Obstacle(f"{default.qualified}, the DEFAULT partition, has rows, which each exchange would read")
    return None
