"""Where `:now` stands for the run's data timestamp in a query, and where the same letters are something else."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trending.runner.failure import ConfigurationError

_WORD: Final = r"\w$\u0080-\U0010ffff"
"""What a name goes on with: letters, digits, `_`, `$` and, for PostgreSQL, everything beyond ASCII."""

_TOKEN: Final = re.compile(
    rf"""
      (?P<quoted>
          [eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z)             # E'..', where a backslash escapes, also when it goes on
              (?:[ \t\f\v]*+[\n\r](?:\s|--[^\n\r]*[\n\r])*+'(?:[^'\\]|\\.|'')*+(?:'|\Z))*    # on a later line
        | '(?:[^']|'')*+(?:'|\Z)                       # '..', also after U&, B, X and N
        | "(?:[^"]|"")*+(?:"|\Z)                       # a quoted name
        | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)    # $$..$$, $tag$..$tag$
      )
    | (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<word>[{_WORD}]+)
    | (?P<cast>::)
    | (?P<now>:now(?![{_WORD}]))
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE: Final = re.compile(r"/\*|\*/")
_VALUE: Final = "($1::timestamptz)"


@dataclass(frozen=True)
class BoundQuery:
    """A query as the server is to see it."""

    text: str
    """The query with `$1` for `:now`, without a semicolon at its end."""
    uses_now: bool
    """Whether `$1` is in it; a value for a parameter that is not there would be an error."""


def bind_now(query: str) -> BoundQuery:
    """Replace each `:now` by the first parameter, a timestamptz.

    Left alone: `:now` in quotes of any kind (E'..' and $tag$..$tag$ too), in comments (they nest), after a cast's first
    colon (`::now`) and as the beginning of a longer word (`:nowhere`). All else stays as it is, `%` and `{}` included.

    Raises ConfigurationError where the query is more than one statement or has a parameter of its own (`$1`).
    """
    tokens = list(_tokens(query))
    statement = [index for index, (kind, _) in enumerate(tokens) if kind not in ("comment", "space")]
    if statement and tokens[statement[-1]] == ("other", ";"):
        del tokens[statement[-1]]
    for kind, text in tokens:
        if (kind, text) == ("other", ";"):
            raise ConfigurationError("the query is more than one statement: write a single SELECT without a semicolon")
        if kind == "word" and re.fullmatch(r"\$\d+", text):
            raise ConfigurationError(f"the query has a parameter of its own, {text}: there is none but :now")
    return BoundQuery(
        text="".join(_VALUE if kind == "now" else text for kind, text in tokens),
        uses_now=any(kind == "now" for kind, _ in tokens),
    )


def _tokens(query: str) -> Iterator[tuple[str, str]]:
    position = 0
    while found := _TOKEN.match(query, position):
        start, kind, position = found.start(), found.lastgroup or "other", found.end()
        if kind == "block":
            kind, position = "comment", _end_of_block(query, position)
        yield kind, query[start:position]


def _end_of_block(query: str, position: int) -> int:
    """Return where the block comment ends whose `/*` ends at `position`; blocks within it end first."""
    depth = 1
    for edge in _BLOCK_EDGE.finditer(query, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(query)
