-- Scores of tracks over the last week and the last month.
-- Numeric until the last cast, so that neither the order of the operations nor the machine shows in a score.
SELECT track_id, genre, time_range, score::float8 AS score
FROM (
    SELECT
        track_id,
        genre,
        time_range,
        CASE
            -- An owner whose followers are not known (null) is not held back.
            WHEN owner_follower_count < $min_followers THEN 0
            WHEN age > days THEN base * mult * greatest(1 / $decay, $decay ^ greatest(-10, 1 - age / days))
            ELSE base * mult
        END AS score
    FROM (
        SELECT
            params.track_id,
            params.genre,
            params.owner_follower_count,
            span.time_range,
            span.days,
            $listen * span.listens + $window_repost * span.reposts + $window_save * span.saves
                + $repost * params.repost_count + $save * params.save_count AS base,
            $mult AS mult,
            -- Whole days. A release that is still to come does not count, the upload does.
            extract(day FROM clock.now - CASE
                WHEN params.release_date > clock.now THEN listens.created_at
                ELSE greatest(params.release_date, listens.created_at)
            END) AS age
        FROM trending_params AS params
        JOIN aggregate_interval_plays AS listens USING (track_id)
        CROSS JOIN (SELECT CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS now) AS clock
        CROSS JOIN LATERAL (VALUES
            ('week', 7.0, listens.week_listen_counts, params.repost_week_count, params.save_week_count),
            ('month', 30.0, listens.month_listen_counts, params.repost_month_count, params.save_month_count)
        ) AS span (time_range, days, listens, reposts, saves)
        WHERE span.time_range IN ($time_ranges)
    ) AS terms
) AS scores
