-- Fills the empty tables of schema.sql with data as a music service has them: a few tracks get most of the plays, most of those
-- soon after the upload. The same numbers give the same data, except that every timestamp is relative to now.
--
--     PGOPTIONS="-c sample.tracks=20000 -c sample.plays=1000000" psql -f schema.sql -f data.sql
--
-- sample.tracks   (20000), sample.plays (1000000), sample.users (a quarter of the tracks)
-- sample.now      the moment that the data are made around (the clock)
--
-- Every timestamp keeps more than an hour's distance from every edge that the formulas know: 7, 30 and 365 days, a month and a
-- year before now, and any whole number of days. So for an hour before and after now the clock changes no count and no age.

CREATE TEMPORARY TABLE sample AS
SELECT tracks, plays, coalesce(users, greatest(tracks / 4, 1)) AS users, greatest(tracks / 10, 1) AS playlists, now, avoided
FROM (
    SELECT
        coalesce(nullif(current_setting('sample.tracks', true), '')::integer, 20000) AS tracks,
        coalesce(nullif(current_setting('sample.plays', true), '')::integer, 1000000) AS plays,
        nullif(current_setting('sample.users', true), '')::integer AS users,
        coalesce(nullif(current_setting('sample.now', true), '')::timestamptz, now()) AT TIME ZONE 'UTC' AS now
) AS settings
CROSS JOIN LATERAL (
    -- A month or a year before now can jump by a day when the clock passes midnight; both days are avoided then.
    SELECT range_agg(tsrange(
        least(now - hour - span, now - span, now + hour - span) - hour,
        greatest(now - hour - span, now - span, now + hour - span) + hour
    )) AS avoided
    FROM (VALUES (interval '1 month', interval '1 hour'), (interval '1 year', interval '1 hour')) AS edge (span, hour)
) AS edges;

-- A number from 0 to below 1 that looks random: the same for the same n and salt, whatever the plan.
CREATE FUNCTION pg_temp.chance(n bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE
    RETURN (hashint8extended(n, salt) & 9007199254740991) / 9007199254740992::float8;

-- A number from 1 to count, where 1 is count times as likely as count: the ranks of Zipf's law.
CREATE FUNCTION pg_temp.rank(count integer, chance float8) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN least(floor(power(count + 1, chance))::integer, count);

-- The member of 1 to count that has this rank: neighbours in rank are no neighbours in number.
CREATE FUNCTION pg_temp.ranked(rank integer, count integer) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN 1 + (rank * 1000003::bigint % count)::integer;

-- Days since the upload of a track: up to three years, the newest first.
CREATE FUNCTION pg_temp.track_days(track_id integer) RETURNS integer LANGUAGE sql IMMUTABLE
    RETURN floor(1100 * power(pg_temp.chance(track_id, 1), 1.5))::integer;

-- A moment in the day that began `days` days ago (or begins in -days), at least 2.5 hours from where now divides the days.
CREATE FUNCTION pg_temp.moment(around sample, days float8, chance float8) RETURNS timestamp LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    moment timestamp := around.now - (floor(days) * 86400 + floor(9000 + 68400 * chance)) * interval '1 second';
BEGIN
    IF moment <@ around.avoided THEN
        RETURN moment - interval '2 days';
    END IF;
    RETURN moment;
END
$$;

CREATE FUNCTION pg_temp.word(words text, chance float8) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN (string_to_array(words, ' '))[1 + floor(chance * (1 + length(words) - length(replace(words, ' ', ''))))::integer];

-- Three of five users have a full profile; some a former one without a bio.
INSERT INTO users
SELECT
    user_id,
    is_current,
    initcap(pg_temp.word('dj lady young mister little big old saint captain doctor', pg_temp.chance(user_id, 11)) || ' '
        || pg_temp.word('comet tiger river cobalt willow mango vertex ember juno pixel raven sage', pg_temp.chance(user_id, 12))
        || ' ' || user_id),
    CASE WHEN user_id % 10 = 5 THEN 'cover' END,
    CASE WHEN user_id % 10 NOT IN (5, 6) THEN 'cover-sizes' END,
    CASE WHEN user_id % 10 = 7 THEN 'picture' END,
    CASE WHEN user_id % 10 NOT IN (7, 8) THEN 'picture-sizes' END,
    CASE WHEN is_current AND user_id % 5 <> 4 THEN 'About me' END,
    pg_temp.moment(sample, 1100 + 400 * pg_temp.chance(user_id, 13), pg_temp.chance(user_id, 14))
FROM sample
CROSS JOIN generate_series(1, users) AS user_id
CROSS JOIN (VALUES (true), (false)) AS version (is_current)
WHERE is_current OR user_id % 20 = 0;

-- Followers by rank, from two millions to a handful; some users have none, two, three, or are not counted at all.
INSERT INTO aggregate_user
SELECT
    user_id,
    CASE user_id % 25
        WHEN 1 THEN 0
        WHEN 2 THEN 2
        WHEN 3 THEN 3
        ELSE floor(2000000 / power(pg_temp.ranked(user_id, users), 1.6))
    END,
    floor(500 * pg_temp.chance(user_id, 21))
FROM sample
CROSS JOIN generate_series(1, users) AS user_id
WHERE user_id % 25 <> 4;

-- Of fifty tracks one is deleted, one unlisted, one a stem of another, one replaced, and one has a former version.
INSERT INTO tracks
SELECT
    track_id,
    1 + floor(users * pg_temp.chance(track_id, 31))::integer,
    initcap(concat_ws(' ',
        pg_temp.word('midnight golden broken electric paper silent neon velvet distant crystal hollow summer lost burning '
            || 'second crooked northern tender restless quiet scarlet borrowed frozen hidden', pg_temp.chance(track_id, 32)),
        pg_temp.word('hearts city ocean dreams signal garden motion letters mirrors highway echoes rain satellite fever '
            || 'orchard thunder shadows bridges lanterns machine silhouette harbour carousel avenue', pg_temp.chance(track_id, 33)),
        nullif(pg_temp.word('- - - - - (live) (remix) (demo) (edit) again forever tonight', pg_temp.chance(track_id, 44)), '-'))),
    CASE
        WHEN NOT is_current THEN 'Other'
        WHEN track_id % 40 <> 0 THEN pg_temp.word('Electronic Hip-Hop/Rap House Pop Alternative Rock Trap Lo-Fi Techno R&B/Soul '
            || 'Experimental Ambient Latin Jazz Punk Folk', power(pg_temp.chance(track_id, 34), 2))
    END,
    created_at,
    CASE
        WHEN kind < 0.15 THEN NULL
        WHEN kind < 0.65 THEN created_at
        WHEN kind < 0.80 THEN pg_temp.moment(sample, 1100 + 5000 * pg_temp.chance(track_id, 35), pg_temp.chance(track_id, 36))
        WHEN kind < 0.93 THEN pg_temp.moment(
            sample, pg_temp.track_days(track_id) * pg_temp.chance(track_id, 37), pg_temp.chance(track_id, 38))
        ELSE pg_temp.moment(sample, -1 - 60 * pg_temp.chance(track_id, 39), pg_temp.chance(track_id, 40))
    END,
    is_current AND track_id % 50 <> 41,
    track_id % 50 = 7,
    track_id % 50 = 19,
    CASE WHEN track_id % 50 = 31 THEN jsonb_build_object('parent_track_id', track_id - 1, 'category', 'VOCALS') END
FROM sample
CROSS JOIN generate_series(1, tracks) AS track_id
CROSS JOIN (VALUES (true), (false)) AS version (is_current)
CROSS JOIN LATERAL (
    SELECT
        pg_temp.moment(sample, pg_temp.track_days(track_id), pg_temp.chance(track_id, 41)) AS created_at,
        pg_temp.chance(track_id, 42) AS kind
) AS made
WHERE is_current OR track_id % 50 = 43;

-- One track of ten is never played, one play of ten is by nobody we know.
INSERT INTO plays
SELECT row_number() OVER (ORDER BY created_at, n), user_id, track_id, created_at
FROM (
    SELECT
        n,
        CASE WHEN n % 10 > 0 THEN 1 + floor(users * pg_temp.chance(n, 51))::integer END AS user_id,
        track_id,
        pg_temp.moment(
            sample, pg_temp.track_days(track_id) * power(pg_temp.chance(n, 52), 2), pg_temp.chance(n, 53)) AS created_at
    FROM sample
    CROSS JOIN generate_series(1, plays) AS n
    CROSS JOIN LATERAL (
        SELECT pg_temp.ranked(pg_temp.rank(greatest(tracks * 9 / 10, 1), pg_temp.chance(n, 54)), tracks) AS track_id
    ) AS played
) AS made;

INSERT INTO aggregate_plays
SELECT play_item_id, count(*) FROM plays GROUP BY play_item_id;

CREATE FUNCTION pg_temp.likes(count integer, salt integer)
RETURNS TABLE (user_id integer, item_id integer, type text, created_at timestamp, is_current boolean, is_delete boolean)
LANGUAGE sql AS $$
    SELECT DISTINCT ON (user_id, item_id, type)
        1 + floor(users * pg_temp.chance(n, salt))::integer AS user_id,
        item_id,
        CASE WHEN NOT of_playlist THEN 'track' WHEN item_id % 4 = 0 THEN 'album' ELSE 'playlist' END AS type,
        pg_temp.moment(
            sample,
            (CASE WHEN of_playlist THEN 400 ELSE pg_temp.track_days(item_id) END) * power(pg_temp.chance(n, salt + 1), 2),
            pg_temp.chance(n, salt + 2)),
        n % 33 > 0,
        n % 20 = 0
    FROM sample
    CROSS JOIN generate_series(1, count) AS n
    CROSS JOIN LATERAL (SELECT n % 8 = 0 AS of_playlist) AS kind
    CROSS JOIN LATERAL (
        SELECT pg_temp.ranked(
            pg_temp.rank(CASE WHEN of_playlist THEN playlists ELSE tracks END, pg_temp.chance(n, salt + 3)),
            CASE WHEN of_playlist THEN playlists ELSE tracks END) AS item_id
    ) AS liked
    ORDER BY user_id, item_id, type, n
$$;

INSERT INTO reposts
SELECT user_id, item_id, type::reposttype, created_at, is_current, is_delete
FROM sample CROSS JOIN pg_temp.likes(plays / 25, 60);

INSERT INTO saves
SELECT user_id, item_id, type::savetype, created_at, is_current, is_delete
FROM sample CROSS JOIN pg_temp.likes(plays / 10, 70);

INSERT INTO aggregate_track
SELECT item_id, count(*) FILTER (WHERE is_repost), count(*) FILTER (WHERE NOT is_repost)
FROM (
    SELECT repost_item_id AS item_id, true AS is_repost FROM reposts WHERE repost_type = 'track' AND is_current AND NOT is_delete
    UNION ALL
    SELECT save_item_id, false FROM saves WHERE save_type = 'track' AND is_current AND NOT is_delete
) AS likes
GROUP BY item_id;

INSERT INTO aggregate_playlist
SELECT item_id, count(*) FILTER (WHERE is_repost), count(*) FILTER (WHERE NOT is_repost)
FROM (
    SELECT repost_item_id AS item_id, true AS is_repost FROM reposts WHERE repost_type <> 'track' AND is_current AND NOT is_delete
    UNION ALL
    SELECT save_item_id, false FROM saves WHERE save_type <> 'track' AND is_current AND NOT is_delete
) AS likes
GROUP BY item_id;

-- Up to thirty tracks each; one of ten has only two, one of fifty none; one of ten is private, one of twenty deleted.
INSERT INTO playlists
SELECT
    playlist_id,
    1 + floor(users * pg_temp.chance(playlist_id, 81))::integer,
    'Playlist ' || playlist_id,
    playlist_id % 4 = 0,
    playlist_id % 10 = 4,
    true,
    playlist_id % 20 = 6,
    pg_temp.moment(sample, 800 * power(pg_temp.chance(playlist_id, 82), 2), pg_temp.chance(playlist_id, 83)),
    CASE WHEN playlist_id % 3 = 0
        THEN pg_temp.moment(sample, 90 * pg_temp.chance(playlist_id, 84) - 10, pg_temp.chance(playlist_id, 85)) END,
    jsonb_build_object('track_ids', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('track', pg_temp.ranked(
            pg_temp.rank(tracks, pg_temp.chance(playlist_id::bigint * 100 + place, 86)), tracks))), '[]')
        FROM generate_series(1, CASE
            WHEN playlist_id % 50 = 9 THEN 0
            WHEN playlist_id % 10 = 3 THEN 2
            ELSE 3 + floor(28 * pg_temp.chance(playlist_id, 87))::integer
        END) AS place
    ))
FROM sample
CROSS JOIN generate_series(1, playlists) AS playlist_id;

ANALYZE users, aggregate_user, tracks, plays, aggregate_plays, aggregate_track, aggregate_playlist, reposts, saves, playlists;

DROP FUNCTION
    pg_temp.moment, pg_temp.likes, pg_temp.word, pg_temp.track_days, pg_temp.ranked, pg_temp.rank, pg_temp.chance;
DROP TABLE sample;
