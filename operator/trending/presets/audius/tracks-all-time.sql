-- Scores of tracks over all time: every live track that was ever played, never decayed.
SELECT
    params.track_id,
    params.genre,
    'allTime' AS time_range,
    (CASE
        -- An owner whose followers are not known (null) is not held back.
        WHEN params.owner_follower_count < $min_followers THEN 0
        ELSE ($listen * coalesce(plays.count, 0) + $repost * params.repost_count + $save * params.save_count) * $mult
    END)::float8 AS score
FROM trending_params AS params
JOIN aggregate_plays AS plays ON plays.play_item_id = params.track_id
-- The view may be older than the deletion of a track.
JOIN tracks ON tracks.track_id = params.track_id
WHERE tracks.is_current AND NOT tracks.is_delete AND NOT tracks.is_unlisted AND tracks.stem_of IS NULL
