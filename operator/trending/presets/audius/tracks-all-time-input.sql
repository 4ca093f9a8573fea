-- What the scores of tracks over all time are made of: every live track that was ever played.
SELECT
    params.track_id,
    params.genre,
    -- An owner whose followers are not known (null) is not held back.
    params.owner_follower_count < $min_followers IS TRUE AS is_held_back,
    $listen * coalesce(plays.count, 0) + $repost * params.repost_count + $save * params.save_count AS base,
    params.karma
FROM trending_params AS params
JOIN aggregate_plays AS plays ON plays.play_item_id = params.track_id
-- The view may be older than the deletion of a track.
JOIN tracks ON tracks.track_id = params.track_id
WHERE tracks.is_current AND NOT tracks.is_delete AND NOT tracks.is_unlisted AND tracks.stem_of IS NULL
