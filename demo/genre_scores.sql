-- The table of manifests/examples/own-query.yaml.
CREATE TABLE IF NOT EXISTS genre_scores (
    board text NOT NULL,
    genre text NOT NULL,
    score bigint NOT NULL,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (board, genre)
);
