-- Scores of tracks over all time, which never decay.
SELECT
    input.track_id,
    input.genre,
    'allTime' AS time_range,
    (CASE WHEN input.is_held_back THEN 0 ELSE input.base * $mult END)::float8 AS score
FROM $input AS input
