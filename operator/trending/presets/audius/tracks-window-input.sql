-- What the scores of tracks over the last week and the last month are made of, the same for every version of the ranking.
SELECT
    params.track_id,
    params.genre,
    -- An owner whose followers are not known (null) is not held back.
    params.owner_follower_count < $min_followers IS TRUE AS is_held_back,
    -- Whole days. A release that is still to come does not count, the upload does.
    extract(day FROM clock.now - CASE
        WHEN params.release_date > clock.now THEN listens.created_at
        ELSE greatest(params.release_date, listens.created_at)
    END)::integer AS age,
    $listen * listens.week_listen_counts + $window_repost * params.repost_week_count + $window_save * params.save_week_count
        + $repost * params.repost_count + $save * params.save_count AS week_base,
    $listen * listens.month_listen_counts + $window_repost * params.repost_month_count + $window_save * params.save_month_count
        + $repost * params.repost_count + $save * params.save_count AS month_base,
    params.karma
FROM trending_params AS params
JOIN aggregate_interval_plays AS listens USING (track_id)
CROSS JOIN (SELECT CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS now) AS clock
-- Computed once a track, instead of wherever a score's formula names a column.
OFFSET 0
