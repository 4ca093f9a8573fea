-- The ledger: what every run did, and how fresh every slice is. Safe to run again.
--
-- Run it as a role with CREATE on the database, in one transaction (`trending migrate`, or `psql --single-transaction -f`).
-- The role that runs use, where it is another one, needs no more than:
--
--     GRANT USAGE ON SCHEMA trending TO <runner>;
--     GRANT SELECT, INSERT, UPDATE ON trending.run, trending.freshness TO <runner>;
--     GRANT SELECT ON trending.threshold TO <runner>;
--     GRANT TEMPORARY ON DATABASE <database> TO <runner>;                       -- the stage
--     GRANT SELECT, INSERT, UPDATE, DELETE ON <each score table> TO <runner>;
--     GRANT SELECT ON <each table and view that a query reads> TO <runner>;
--
-- and the ownership of the materialized views that it refreshes (PostgreSQL 17's MAINTAIN will do instead). Who only
-- wants to know how fresh the data is needs USAGE on the schema and SELECT on trending.freshness.

CREATE SCHEMA IF NOT EXISTS trending;

COMMENT ON SCHEMA trending IS 'Ledger of the trending operator: runs, and the freshness of what they write';

CREATE TABLE IF NOT EXISTS trending.run (
    run_id text PRIMARY KEY,
    namespace text,
    schedule text,
    job text,
    trigger text NOT NULL CHECK (trigger IN ('Schedule', 'Manual')),
    scheduled_time timestamptz NOT NULL,
    data_timestamp timestamptz NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    completed_at timestamptz,
    attempts integer NOT NULL DEFAULT 1 CHECK (attempts > 0),
    result text CHECK (result IN ('Succeeded', 'Failed', 'Superseded', 'Replaced', 'DeadlineExceeded')),
    reason text,
    message text,
    report jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX IF NOT EXISTS run_schedule_idx ON trending.run (namespace, schedule, started_at DESC);

COMMENT ON TABLE trending.run IS 'One row a run, written when it starts and completed when it ends';
COMMENT ON COLUMN trending.run.run_id IS 'Uid of the schedule and name of the Job, so that every attempt of a Job is the same run; random for a run without a cluster';
COMMENT ON COLUMN trending.run.namespace IS 'Namespace of the TrendingSchedule';
COMMENT ON COLUMN trending.run.schedule IS 'Name of the TrendingSchedule';
COMMENT ON COLUMN trending.run.job IS 'Name of the Job; null for a run without a cluster';
COMMENT ON COLUMN trending.run.trigger IS 'Schedule, or Manual for a run by hand';
COMMENT ON COLUMN trending.run.scheduled_time IS 'The slot the run is for; of a run by hand, the second its Job was created in';
COMMENT ON COLUMN trending.run.data_timestamp IS 'The `:now` of all that the run writes: the database''s now() before the first refresh of the first attempt';
COMMENT ON COLUMN trending.run.started_at IS 'When the first attempt started';
COMMENT ON COLUMN trending.run.completed_at IS 'When the last attempt ended; null while it runs, and where it was cut off';
COMMENT ON COLUMN trending.run.attempts IS 'Attempts so far: pods of the Job that reached the database';
COMMENT ON COLUMN trending.run.result IS 'Succeeded, Failed, Superseded, Replaced or DeadlineExceeded; null as completed_at is';
COMMENT ON COLUMN trending.run.reason IS 'Why, in one word, as in the condition Succeeded of the schedule';
COMMENT ON COLUMN trending.run.message IS 'Why, in one sentence, without secrets';
COMMENT ON COLUMN trending.run.report IS 'The whole report: every step, not shortened as the one in the pod''s termination message is';

CREATE TABLE IF NOT EXISTS trending.freshness (
    table_name text NOT NULL,
    slice jsonb NOT NULL CHECK (jsonb_typeof(slice) = 'object'),
    namespace text,
    schedule text,
    target text,
    data_timestamp timestamptz,
    scheduled_time timestamptz,
    run_id text,
    rows bigint CHECK (rows >= 0),
    step jsonb,
    CHECK ((data_timestamp IS NULL) = (run_id IS NULL))
);

-- The key is (table_name, slice), by a hash of 64 bits: a long slice would not fit into an index.
CREATE UNIQUE INDEX IF NOT EXISTS freshness_slice_idx ON trending.freshness (table_name, jsonb_hash_extended(slice, 0));

COMMENT ON TABLE trending.freshness IS 'One row a slice of a table: as of when its data are, and who wrote them. Its row lock orders the writers of the slice';
COMMENT ON COLUMN trending.freshness.table_name IS 'Schema-qualified name of the table, quoted where SQL needs it';
COMMENT ON COLUMN trending.freshness.slice IS 'Canonical slice: column -> sorted, distinct values as text; {} is the whole table';
COMMENT ON COLUMN trending.freshness.namespace IS 'Namespace of the TrendingSchedule that wrote last';
COMMENT ON COLUMN trending.freshness.schedule IS 'Name of the TrendingSchedule that wrote last';
COMMENT ON COLUMN trending.freshness.target IS 'Name of the target in its spec.rewrite';
COMMENT ON COLUMN trending.freshness.data_timestamp IS 'As of when the rows are (the `:now` of the last write); it never goes back; null before the first write';
COMMENT ON COLUMN trending.freshness.scheduled_time IS 'The slot of the last scheduled write; `every` counts from it, and a run by hand does not move it. Null where only runs by hand wrote';
COMMENT ON COLUMN trending.freshness.run_id IS 'The run (trending.run) of the last write: a further attempt of that run skips this slice';
COMMENT ON COLUMN trending.freshness.rows IS 'Rows of the slice after the last write';
COMMENT ON COLUMN trending.freshness.step IS 'What the last write did, as in the run''s report; committed with the rows themselves';

CREATE TABLE IF NOT EXISTS trending.threshold (
    name text PRIMARY KEY,
    value double precision NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT now(),
    measured_by text
);

COMMENT ON TABLE trending.threshold IS 'At which shares of changed rows strategy Auto takes another strategy, as `trending bench` measured them on this database; without a row a default counts';
COMMENT ON COLUMN trending.threshold.name IS 'Which threshold, such as delete_insert_plain';
COMMENT ON COLUMN trending.threshold.value IS 'Share of the slice''s rows that change, from 0 to 1';
COMMENT ON COLUMN trending.threshold.measured_at IS 'When it was measured';
COMMENT ON COLUMN trending.threshold.measured_by IS 'How: the size and what it ran on';
