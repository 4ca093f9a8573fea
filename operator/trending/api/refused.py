"""What is refused at `kubectl apply`, each with the sentence that says what to write instead.

The API server checks the CEL; our own models say the same words where there is no API server (`trending run -f`).
"""

from typing import Final

from trending.api.model import Rule

_RESERVED_SETTINGS: Final = ("role", "session_authorization", "timezone")
_RESERVED_PREFIX: Final = "transaction_"
_SPACE: Final = r"\\s\\v\\x85\\pZ"
"""What robfig takes for space: Unicode's, of which RE2's own class holds a part."""
_FIVE: Final = f"^[{_SPACE}]*[^{_SPACE}]+([{_SPACE}]+[^{_SPACE}]+){{4}}[{_SPACE}]*$"
_EVERY: Final = r"^@every [+]?(([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$"


def _cron_field(value: str) -> str:
    """Return an RE2 pattern for a list of values, ranges and steps, as robfig/cron reads them; it may be empty."""
    span = rf"([*?](-[^,/{_SPACE}]*)?|({value})(-({value}))?)(/[+]?0*[1-9][0-9]*)?"
    return f",*({span}(,+{span})*,*)?"


_CRON: Final = (
    f"^[{_SPACE}]*"
    + f"[{_SPACE}]+".join(
        _cron_field(value)
        for value in (
            "[+]?0*[0-5]?[0-9]",
            "[+]?0*(1?[0-9]|2[0-3])",
            "[+]?0*([1-9]|[12][0-9]|3[01])",
            "[+]?0*([1-9]|1[0-2])|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
            "[+]?0*[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat)",
        )
    )
    + f"[{_SPACE}]*$"
)

NO_TARGETS: Final = Rule(
    cel="has(self.rewrite) && size(self.rewrite) > 0",
    message="spec.rewrite needs at least one target: write - {name: ..., preset: {name: ..., timeRanges: [...]}} or "
    "one with table, slice and query",
)
NO_SUCH_POLICY: Final = Rule(
    cel="self in ['Forbid', 'Replace']",
    message="runs of one schedule never work side by side, since two writers of a slice would undo each other's work: "
    "write concurrencyPolicy: Forbid, which waits for the active run, or Replace, which ends it",
)
SHORT_DEADLINE: Final = Rule(
    cel="self >= 1",
    message="startingDeadlineSeconds is how many seconds late a slot may start: write 1 or more, or leave it out for "
    "no limit",
)
NO_SECRET_KEY: Final = Rule(
    cel="has(self.key) && self.key != ''",
    message="a Secret holds several keys: name the one to read, such as key: uri",
)
RESERVED_SETTING: Final = Rule(
    cel="self.all(k, !(k.lowerAscii() in ['role', 'session_authorization', 'timezone']) && "
    "!k.lowerAscii().startsWith('transaction_'))",
    message="role, session_authorization, TimeZone and transaction_* are set by the operator: "
    "remove them; who works is the user of the URI, and sessions run in UTC",
)

PRESET_AND_QUERY: Final = Rule(
    cel="!(has(self.preset) && has(self.query))",
    message="preset and query are both given: a preset brings its own query, so keep one of the two",
)
NEITHER_PRESET_NOR_QUERY: Final = Rule(
    cel="has(self.preset) || has(self.query)",
    message="the rows come from a preset or from a query: give one of the two",
)
PRESET_WITH_TABLE: Final = Rule(
    cel="!has(self.preset) || !(has(self.table) || has(self.slice) || has(self.key) || has(self.stamp))",
    message="a preset brings its own table, slice, key and stamp: remove them, or write a query of your own instead of "
    "the preset",
)
QUERY_WITHOUT_TABLE: Final = Rule(
    cel="has(self.preset) || !has(self.query) || has(self.table)",
    message="a query needs a table to rewrite: add table: name",
)
QUERY_WITHOUT_SLICE: Final = Rule(
    cel="has(self.preset) || !has(self.query) || has(self.slice)",
    message="a query needs the slice of the table that it rewrites: add slice: {column: [value]}, or slice: {} for the "
    "whole table",
)

ZONE_IN_SCHEDULE: Final = Rule(
    cel="!self.contains('TZ=')",
    message="the time zone does not belong into the schedule: remove TZ= or CRON_TZ= and write spec.timeZone",
)
UNKNOWN_DESCRIPTOR: Final = Rule(
    cel="!self.startsWith('@') || self.startsWith('@every ')"
    " || self in ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']",
    message="the words are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every with a "
    "duration, in lower case",
)
BAD_EVERY: Final = Rule(
    cel=f"!self.startsWith('@every ') || self.matches('{_EVERY}')",
    message="@every takes a positive duration such as 90m or 1h30m: write @every 90m",
)
SHORT_EVERY: Final = Rule(
    cel=f"!self.startsWith('@every ') || !self.matches('{_EVERY}') || duration(self.substring(7)) >= duration('1m')",
    message="@every takes a minute or more, since a run's Job is named by the minute of its slot: write @every 1m",
)
NOT_FIVE_FIELDS: Final = Rule(
    cel="self.startsWith('@') || self.contains('TZ=') || self.matches('" + _FIVE + "')",
    message="a schedule has five fields (minute, hour, day of month, month, day of week), such as '0 * * * *', "
    "or is a word such as @hourly; there are no seconds and no years",
)
BAD_FIELD: Final = Rule(
    cel="self.startsWith('@') || self.contains('TZ=') || !self.matches('"
    + _FIVE
    + "') || self.matches('"
    + _CRON
    + "')",
    message="a field of the schedule has a value that it cannot have: minutes are 0-59, hours 0-23, days 1-31, months "
    "1-12 or JAN-DEC, days of the week 0-6 or SUN-SAT (Sunday is 0, not 7), joined by , - and / such as 8-18/2 or */15",
)

NO_ZONE: Final = Rule(
    cel="self != '' && self.lowerAscii() != 'local'",
    message="timeZone is the IANA name of a zone, such as Etc/UTC or Europe/Berlin; there is no local zone in a "
    "cluster",
)
LONG_NAME: Final = Rule(
    cel="self.metadata.name.size() <= 52",
    message="the name has more than 52 characters, and a run's Job adds up to eleven to it: choose a shorter one",
)


def is_reserved_setting(name: str) -> bool:
    """Tell whether a PostgreSQL setting (its name in any case) is the operator's own."""
    lower = name.lower()
    return lower in _RESERVED_SETTINGS or lower.startswith(_RESERVED_PREFIX)
