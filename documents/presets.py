"""The reference of the presets, from what they are made of: slice, key, constants, what they read, and their SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trending.presets import known_presets, load_preset
from trending.presets.audius import RANKINGS, Ranking

_INTRODUCTION: Final = """\
# The presets

Rankings that the operator brings: table, slice, key, stamp and query. A target with `preset` needs nothing else. They
compute what Audius computes, by the formulas of its public repository, and are tested against an independent
implementation of them.

```yaml
rewrite:
  - name: tracks-pnagD
    preset: {name: audius/tracks-pnagD, timeRanges: [week, month]}
```

`trending migrate --preset audius` makes the indexes of the views unique, so that refreshes do not block their readers.

| preset | time ranges | table | reads |
|---|---|---|---|
"""
_FORMULA: Final = """
## How a score is made

With the constants below, all in exact arithmetic until the column, which is a `float8`:

```text
base  = N * plays + F * reposts in the range + O * saves in the range + r * reposts + i * saves
score = 0                                        if the owner has fewer than y followers
      = base * mult * max(1/q, q ^ (1 - age/T))  if the track or playlist is older than the range (T days)
      = base * mult                              otherwise
```

`age` is in whole days since the creation, or since the release where that is later and not still to come. `allTime`
has no range: neither F, O nor the decay. Playlists count as played once, and have no row with fewer than three tracks.
`karma` is the sum of the followers of everybody who saved or reposted it, with a cover, a picture and a biography: a
user who did both counts twice. For playlists only who did so within the range counts.
"""
_CONSTANTS: Final = {
    "N": "listen",
    "F": "window_repost",
    "O": "window_save",
    "r": "repost",
    "i": "save",
    "q": "decay",
    "y": "min_followers",
}


def write_presets() -> str:
    """Return the page as Markdown."""
    lines = [_INTRODUCTION.rstrip()]
    for name, ranges in known_presets().items():
        preset = load_preset(name, ranges)
        reads = ", ".join(f"`{view}`" for view in preset.reads) or "the tables themselves"
        lines.append(f"| `{name}` | {', '.join(ranges)} | `{preset.table}` | {reads} |")
    lines.append(_FORMULA)
    for ranking in RANKINGS:
        lines += _preset(ranking)
    return "\n".join(lines).rstrip() + "\n"


def _preset(ranking: Ranking) -> Iterator[str]:
    ranges = tuple(ranking.sources)
    preset = load_preset(ranking.name, ranges)
    slice_ = ", ".join(f"{column}: [{', '.join(values)}]" for column, values in preset.slice.items())
    constants = ", ".join(f"{letter} = {getattr(ranking.strategy, field)}" for letter, field in _CONSTANTS.items())
    yield f"## {ranking.name}\n"
    yield "| part of the target | what it is |"
    yield "|---|---|"
    yield f"| slice | `{{{slice_}}}`, with the time ranges that the target names |"
    yield f"| key | `{preset.key[0]}`, and `time_range` where the target names several |"
    yield f"| stamp | `{preset.stamp}` |"
    yield f"| constants | {constants} |"
    yield f"| mult | `{_in_words(ranking.strategy.mult)}` |"
    yield ""
    for of in _sources(ranking):
        yield f"Its query for {', '.join(of)}:\n"
        yield "<!-- not run: it is for reading; tests/postgres/test_presets_runs.py has runs execute it -->"
        yield f"```sql\n{load_preset(ranking.name, of).query}\n```\n"


def _sources(ranking: Ranking) -> list[list[str]]:
    """Return the time ranges, those together that one file computes."""
    found: dict[str, list[str]] = {}
    for time_range, source in ranking.sources.items():
        found.setdefault(source.stem, []).append(time_range)
    return list(found.values())


def _in_words(mult: str) -> str:
    return mult.replace("input.", "").replace(f"1.{'0' * 24}", "1") if "log" in mult else "karma"
