-- Promotes the plain index on track_id of both materialized views to a UNIQUE one of the same name, which is what
-- REFRESH MATERIALIZED VIEW CONCURRENTLY needs: after this no refresh keeps a reader waiting.
--
-- The query at the end reads the catalog and returns the statements that are still to run, in order; each must run outside a
-- transaction. `trending migrate --preset audius` does that, and so does psql, as the owner of the views:
--
--     psql --no-psqlrc --set ON_ERROR_STOP=1 --file 0214_unique_view_indexes.sql
--
-- It can be run again at any time: after it was cut off it goes on from where the catalog shows it stopped (an INVALID index
-- is dropped first), and where all is done it returns nothing. The unique index is built beside the plain one, under the name
-- <index>_unique, so that queries always have an index. No statement takes a lock that readers wait for; building and dropping
-- wait for the transactions that were open before them. Let no refresh without a lock_timeout run meanwhile: it would queue behind
-- the build, and readers behind it.

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('aggregate_interval_plays', 'interval_play_track_id_idx'),
            ('trending_params', 'trending_params_track_id_idx')
        ) AS names (view_name, index_name)
    LOOP
        IF to_regclass(wanted.view_name) IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format(
                'The materialized view %s is in no schema of the search path (%s); create it, or set the search path of the role to its schema.',
                wanted.view_name, current_setting('search_path'));
        END IF;
        IF (SELECT relkind FROM pg_class WHERE oid = to_regclass(wanted.view_name)) <> 'm' THEN
            RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format(
                '%s is not a materialized view, so it needs no unique index to be refreshed.', wanted.view_name);
        END IF;
        IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass(wanted.view_name)), 'USAGE') THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
                'The role %s does not own the materialized view %s; run the migration as %s.', current_user, wanted.view_name,
                (SELECT relowner::regrole FROM pg_class WHERE oid = to_regclass(wanted.view_name)));
        END IF;
        IF EXISTS (
            SELECT
            FROM pg_class AS named
            LEFT JOIN pg_index AS i ON i.indexrelid = named.oid
            WHERE named.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(wanted.view_name))
              AND named.relname IN (wanted.index_name, wanted.index_name || '_unique')
              AND (i.indrelid IS DISTINCT FROM to_regclass(wanted.view_name)
                   OR i.indnkeyatts <> 1
                   OR pg_get_indexdef(i.indexrelid, 1, false) <> 'track_id')
        ) THEN
            RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format(
                'The name %s or %s_unique is taken by something else than an index on %s (track_id); rename that first.',
                wanted.index_name, wanted.index_name, wanted.view_name);
        END IF;
    END LOOP;
END
$$;

WITH wanted (place, view_oid, index_name) AS (
    VALUES
        (1, to_regclass('aggregate_interval_plays'), 'interval_play_track_id_idx'),
        (2, to_regclass('trending_params'), 'trending_params_track_id_idx')
), found AS (
    SELECT
        named.relname AS name,
        i.indrelid AS view_oid,
        i.indisvalid AS valid,
        -- what REFRESH MATERIALIZED VIEW CONCURRENTLY accepts
        i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AS usable
    FROM pg_index AS i
    JOIN pg_class AS named ON named.oid = i.indexrelid
), state AS (
    SELECT
        wanted.place,
        format('%I.%I', space.nspname, view.relname) AS view_name,
        quote_ident(wanted.index_name) AS index_name,
        quote_ident(wanted.index_name || '_unique') AS new_name,
        format('%I.%I', space.nspname, wanted.index_name) AS index_path,
        format('%I.%I', space.nspname, wanted.index_name || '_unique') AS new_path,
        present.name IS NOT NULL AS is_present,
        coalesce(present.valid, false) AS is_valid,
        coalesce(present.usable, false) AS is_done,
        replacement.name IS NOT NULL AS new_is_present,
        coalesce(replacement.usable, false) AS new_is_usable
    FROM wanted
    JOIN pg_class AS view ON view.oid = wanted.view_oid
    JOIN pg_namespace AS space ON space.oid = view.relnamespace
    LEFT JOIN found AS present ON present.view_oid = wanted.view_oid AND present.name = wanted.index_name
    LEFT JOIN found AS replacement ON replacement.view_oid = wanted.view_oid AND replacement.name = wanted.index_name || '_unique'
)
SELECT step.statement
FROM state
CROSS JOIN LATERAL (VALUES
    (1, is_present AND NOT is_valid, 'DROP INDEX CONCURRENTLY ' || index_path),
    (2, new_is_present AND (is_done OR NOT new_is_usable), 'DROP INDEX CONCURRENTLY ' || new_path),
    (3, NOT is_done AND NOT new_is_usable, format('CREATE UNIQUE INDEX CONCURRENTLY %s ON %s (track_id)', new_name, view_name)),
    (4, NOT is_done AND is_valid, 'DROP INDEX CONCURRENTLY ' || index_path),
    (5, NOT is_done, format('ALTER INDEX %s RENAME TO %s', new_path, index_name))
) AS step (place, is_due, statement)
WHERE step.is_due
ORDER BY state.place, step.place
\gexec
