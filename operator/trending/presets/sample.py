"""Sample data of the Audius shape: the schema and a deterministic generator, both SQL that psql runs as well."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files


def sample_schema() -> str:
    """The tables, indexes and unpopulated materialized views, as one text of many statements."""
    return _text("schema")


def sample_statements(*, tracks: int, plays: int, users: int | None = None, now: datetime | None = None) -> list[str]:
    """What to run, in order, in one session of an empty database, to have the schema and these numbers of rows.

    `now` (aware) is the moment the timestamps keep their hour's distance from, by default the database's clock; `users`
    is by default a quarter of the tracks. Each element is a text of one or more statements without parameters. The
    views stay unpopulated. Raises ValueError for numbers below one and a naive `now`.
    """
    if min(tracks, plays, users or 1) < 1:
        raise ValueError("Sample data need at least one track, one play and one user.")
    if now is not None and now.tzinfo is None:
        raise ValueError("The sample's now must carry a time zone.")
    settings = {"tracks": tracks, "plays": plays, "users": users, "now": now and now.isoformat()}
    return [
        *(f"SET sample.{name} = '{value}'" for name, value in settings.items() if value is not None),
        sample_schema(),
        _text("data"),
    ]


def _text(stem: str) -> str:
    return (files("trending.presets.audius") / "sample" / f"{stem}.sql").read_text(encoding="utf-8")
