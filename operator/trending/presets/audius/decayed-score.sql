CASE
    WHEN is_held_back THEN 0
    -- From one length of the time range to two a score falls to 1/q, and no further.
    WHEN age >= 2 * days THEN base * mult * (1 / $decay)
    -- The zeros are digits for the quotient and the power: enough that neither shows in a float8.
    WHEN age > days THEN base * mult * $decay ^ (1 - age / days::numeric(30, 24))
    ELSE base * mult
END
