-- Scores of public playlists with three tracks or more over the last week, month (30 days) and year (365 days).
WITH clock AS (
    SELECT CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS now
), span AS (
    SELECT span.time_range, span.days, clock.now - span.days * interval '1 day' AS edge
    FROM clock
    CROSS JOIN (VALUES ('week', 7), ('month', 30), ('year', 365)) AS span (time_range, days)
    WHERE span.time_range IN ($time_ranges)
), likes AS (
    SELECT repost_item_id AS playlist_id, user_id, created_at, true AS is_repost
    FROM reposts
    WHERE repost_type = 'playlist' AND is_current AND NOT is_delete
    UNION ALL
    SELECT save_item_id, user_id, created_at, false
    FROM saves
    WHERE save_type = 'playlist' AND is_current AND NOT is_delete
), fans AS (
    SELECT user_id, follower_count
    FROM aggregate_user
    WHERE user_id IN (
        SELECT user_id
        FROM users
        WHERE is_current
            AND (cover_photo IS NOT NULL OR cover_photo_sizes IS NOT NULL)
            AND (profile_picture IS NOT NULL OR profile_picture_sizes IS NOT NULL)
            AND bio IS NOT NULL
    )
), liked AS (
    SELECT
        likes.playlist_id,
        span.time_range,
        -- A like of the very instant at which the time range begins is not counted, yet adds its user's followers.
        count(*) FILTER (WHERE likes.is_repost AND likes.created_at > span.edge) AS reposts,
        count(*) FILTER (WHERE NOT likes.is_repost AND likes.created_at > span.edge) AS saves,
        sum(fans.follower_count) AS karma
    FROM likes
    JOIN span ON likes.created_at >= span.edge
    LEFT JOIN fans ON fans.user_id = likes.user_id
    GROUP BY likes.playlist_id, span.time_range
)
SELECT playlist_id, time_range, ($decayed_score)::float8 AS score
FROM (
    SELECT
        input.playlist_id,
        span.time_range,
        span.days,
        -- An owner whose followers are not known (null) is not held back, and one without the row has no ranked playlists.
        owner.follower_count < $min_followers IS TRUE AS is_held_back,
        -- Whole days. A release that is still to come does not count, the creation does.
        extract(day FROM clock.now - CASE
            WHEN input.release_date > clock.now THEN input.created_at
            ELSE greatest(input.release_date, input.created_at)
        END)::integer AS age,
        -- Every playlist counts as listened to once.
        $listen + $window_repost * coalesce(liked.reposts, 0) + $window_save * coalesce(liked.saves, 0)
            + $repost * coalesce(totals.repost_count, 0) + $save * coalesce(totals.save_count, 0) AS base,
        coalesce(liked.karma, 1) AS mult
    FROM playlists AS input
    JOIN aggregate_user AS owner ON owner.user_id = input.playlist_owner_id
    CROSS JOIN clock
    CROSS JOIN span
    LEFT JOIN aggregate_playlist AS totals ON totals.playlist_id = input.playlist_id
    LEFT JOIN liked ON liked.playlist_id = input.playlist_id AND liked.time_range = span.time_range
    WHERE input.is_current AND NOT input.is_delete AND NOT input.is_private
        AND CASE jsonb_typeof(input.playlist_contents -> 'track_ids')
            WHEN 'array' THEN jsonb_array_length(input.playlist_contents -> 'track_ids') >= 3
        END
) AS terms
