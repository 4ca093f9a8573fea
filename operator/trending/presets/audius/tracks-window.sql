-- Scores of tracks over the last week and the last month.
SELECT track_id, genre, time_range, ($decayed_score)::float8 AS score
FROM (
    SELECT input.track_id, input.genre, input.is_held_back, input.age, span.time_range, span.days, span.base, $mult AS mult
    FROM $input AS input
    CROSS JOIN LATERAL (VALUES ('week', 7, input.week_base), ('month', 30, input.month_base)) AS span (time_range, days, base)
    WHERE span.time_range IN ($time_ranges)
) AS terms
