-- The tables, indexes and materialized views of an Audius-shaped database, as they are before migration 0214: both views
-- unpopulated, with plain indexes. For demonstrations, tests and benchmarks; timestamps are without time zone, in UTC.

CREATE TYPE reposttype AS ENUM ('track', 'playlist', 'album');
CREATE TYPE savetype AS ENUM ('track', 'playlist', 'album');

CREATE TABLE users (
    user_id integer NOT NULL,
    is_current boolean NOT NULL,
    name varchar,
    cover_photo varchar,
    cover_photo_sizes varchar,
    profile_picture varchar,
    profile_picture_sizes varchar,
    bio varchar,
    created_at timestamp NOT NULL
);
CREATE INDEX users_user_id_idx ON users (user_id);

CREATE TABLE aggregate_user (
    user_id integer PRIMARY KEY,
    follower_count bigint,
    following_count bigint
);

CREATE TABLE tracks (
    track_id integer NOT NULL,
    owner_id integer NOT NULL,
    title varchar,
    genre varchar,
    created_at timestamp NOT NULL,
    release_date timestamp,
    is_current boolean NOT NULL,
    is_delete boolean NOT NULL,
    is_unlisted boolean NOT NULL,
    stem_of jsonb
);
CREATE INDEX tracks_track_id_idx ON tracks (track_id);

CREATE TABLE plays (
    id integer PRIMARY KEY,
    user_id integer,
    play_item_id integer NOT NULL,
    created_at timestamp NOT NULL
);
CREATE INDEX plays_created_at_idx ON plays (created_at);
CREATE INDEX plays_item_created_at_idx ON plays (play_item_id, created_at);

CREATE TABLE aggregate_plays (
    play_item_id integer PRIMARY KEY,
    count bigint
);

CREATE TABLE aggregate_track (
    track_id integer PRIMARY KEY,
    repost_count integer NOT NULL,
    save_count integer NOT NULL
);

CREATE TABLE aggregate_playlist (
    playlist_id integer PRIMARY KEY,
    repost_count integer NOT NULL,
    save_count integer NOT NULL
);

CREATE TABLE reposts (
    user_id integer NOT NULL,
    repost_item_id integer NOT NULL,
    repost_type reposttype NOT NULL,
    created_at timestamp NOT NULL,
    is_current boolean NOT NULL,
    is_delete boolean NOT NULL
);
CREATE INDEX reposts_item_idx ON reposts (repost_item_id, repost_type);

CREATE TABLE saves (
    user_id integer NOT NULL,
    save_item_id integer NOT NULL,
    save_type savetype NOT NULL,
    created_at timestamp NOT NULL,
    is_current boolean NOT NULL,
    is_delete boolean NOT NULL
);
CREATE INDEX saves_item_idx ON saves (save_item_id, save_type);

CREATE TABLE playlists (
    playlist_id integer NOT NULL,
    playlist_owner_id integer NOT NULL,
    playlist_name varchar,
    is_album boolean NOT NULL,
    is_private boolean NOT NULL,
    is_current boolean NOT NULL,
    is_delete boolean NOT NULL,
    created_at timestamp NOT NULL,
    release_date timestamp,
    playlist_contents jsonb NOT NULL
);
CREATE INDEX playlists_playlist_id_idx ON playlists (playlist_id);

CREATE TABLE track_trending_scores (
    track_id integer NOT NULL,
    type varchar NOT NULL,
    genre varchar,
    version varchar NOT NULL,
    time_range varchar NOT NULL,
    score double precision NOT NULL,
    created_at timestamp NOT NULL,
    PRIMARY KEY (track_id, type, version, time_range)
);
CREATE INDEX ix_track_trending_scores_genre_range ON track_trending_scores (genre, time_range, score DESC, track_id);
CREATE INDEX ix_track_trending_scores_genre ON track_trending_scores (genre);
CREATE INDEX ix_track_trending_scores_track_id ON track_trending_scores (track_id);
CREATE INDEX ix_track_trending_scores_ranking ON track_trending_scores (type, version, time_range, score DESC, track_id);
CREATE INDEX ix_track_trending_scores_genre_ranking ON track_trending_scores (type, version, time_range, genre, score DESC);

CREATE TABLE playlist_trending_scores (
    playlist_id integer NOT NULL,
    type varchar NOT NULL,
    version varchar NOT NULL,
    time_range varchar NOT NULL,
    score double precision NOT NULL,
    created_at timestamp NOT NULL,
    PRIMARY KEY (playlist_id, type, version, time_range)
);
CREATE INDEX ix_playlist_trending_scores_playlist_id ON playlist_trending_scores (playlist_id);
CREATE INDEX ix_playlist_trending_scores_ranking
    ON playlist_trending_scores (type, version, time_range, playlist_id, score DESC);

CREATE TABLE indexing_checkpoints (
    tablename varchar PRIMARY KEY,
    last_checkpoint bigint NOT NULL
);

CREATE MATERIALIZED VIEW aggregate_interval_plays AS
SELECT
    tracks.track_id,
    tracks.genre,
    tracks.created_at,
    coalesce(listens.week, 0) AS week_listen_counts,
    coalesce(listens.month, 0) AS month_listen_counts
FROM tracks
LEFT JOIN (
    SELECT
        play_item_id AS track_id,
        count(*) FILTER (WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '7 days') AS week,
        count(*) AS month
    FROM plays
    WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '1 month'
    GROUP BY play_item_id
) AS listens USING (track_id)
WHERE tracks.is_current AND NOT tracks.is_delete AND NOT tracks.is_unlisted AND tracks.stem_of IS NULL
WITH NO DATA;

CREATE INDEX interval_play_track_id_idx ON aggregate_interval_plays (track_id);

CREATE MATERIALIZED VIEW trending_params AS
WITH live_reposts AS (
    SELECT user_id, repost_item_id AS track_id, created_at
    FROM reposts
    WHERE repost_type = 'track' AND is_current AND NOT is_delete
), live_saves AS (
    SELECT user_id, save_item_id AS track_id, created_at
    FROM saves
    WHERE save_type = 'track' AND is_current AND NOT is_delete
), repost_counts AS (
    SELECT
        track_id,
        count(*) FILTER (WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '7 days') AS week,
        count(*) FILTER (WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '1 month') AS month,
        count(*) AS year
    FROM live_reposts
    WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '1 year'
    GROUP BY track_id
), save_counts AS (
    SELECT
        track_id,
        count(*) FILTER (WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '7 days') AS week,
        count(*) FILTER (WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '1 month') AS month,
        count(*) AS year
    FROM live_saves
    WHERE created_at > (now() AT TIME ZONE 'UTC') - interval '1 year'
    GROUP BY track_id
), karma AS (
    SELECT likes.track_id, sum(aggregate_user.follower_count) AS karma
    FROM (
        SELECT user_id, track_id FROM live_reposts
        UNION ALL
        SELECT user_id, track_id FROM live_saves
    ) AS likes
    JOIN users ON users.user_id = likes.user_id
    JOIN aggregate_user ON aggregate_user.user_id = likes.user_id
    WHERE users.is_current
      AND (users.cover_photo IS NOT NULL OR users.cover_photo_sizes IS NOT NULL)
      AND (users.profile_picture IS NOT NULL OR users.profile_picture_sizes IS NOT NULL)
      AND users.bio IS NOT NULL
    GROUP BY likes.track_id
)
SELECT
    tracks.track_id,
    tracks.release_date,
    tracks.genre,
    tracks.owner_id,
    aggregate_plays.count AS play_count,
    aggregate_user.follower_count AS owner_follower_count,
    coalesce(aggregate_track.repost_count, 0) AS repost_count,
    coalesce(aggregate_track.save_count, 0) AS save_count,
    coalesce(repost_counts.week, 0) AS repost_week_count,
    coalesce(repost_counts.month, 0) AS repost_month_count,
    coalesce(repost_counts.year, 0) AS repost_year_count,
    coalesce(save_counts.week, 0) AS save_week_count,
    coalesce(save_counts.month, 0) AS save_month_count,
    coalesce(save_counts.year, 0) AS save_year_count,
    coalesce(karma.karma, 0) AS karma
FROM tracks
LEFT JOIN aggregate_plays ON aggregate_plays.play_item_id = tracks.track_id
LEFT JOIN aggregate_user ON aggregate_user.user_id = tracks.owner_id
LEFT JOIN aggregate_track ON aggregate_track.track_id = tracks.track_id
LEFT JOIN repost_counts ON repost_counts.track_id = tracks.track_id
LEFT JOIN save_counts ON save_counts.track_id = tracks.track_id
LEFT JOIN karma ON karma.track_id = tracks.track_id
WHERE tracks.is_current AND NOT tracks.is_delete AND NOT tracks.is_unlisted AND tracks.stem_of IS NULL
WITH NO DATA;

CREATE INDEX trending_params_track_id_idx ON trending_params (track_id);
