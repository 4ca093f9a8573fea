"""What `kubectl apply` lets through is what the controller can read: the rules' patterns against the parser."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trending.api import refused
from trending.api.model import Rule
from trending.schedule.cron import InvalidScheduleError, parse_schedule

READINGS = Path(__file__).parents[1] / "vectors" / "readings.txt"
UNICODE_SPACE = " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def patterns(rule: Rule) -> list[re.Pattern[str]]:
    """The rule's RE2 patterns as Python's: CEL's escapes undone, RE2's Unicode class written out, classes of ASCII."""
    found = re.findall(r"self\.matches\('([^']*)'\)", rule.cel)
    return [re.compile(json.loads(f'"{text}"').replace(r"\pZ", UNICODE_SPACE), flags=re.ASCII) for text in found]


FIVE, FIELDS = patterns(refused.BAD_FIELD)
(EVERY,) = patterns(refused.BAD_EVERY)


def refusal(expression: str) -> Rule | None:
    """The first of the schedule's rules that refuses an expression, as the API server would evaluate it."""
    if "TZ=" in expression:
        return refused.ZONE_IN_SCHEDULE
    if expression.startswith("@every "):
        return None if EVERY.search(expression) else refused.BAD_EVERY
    if expression.startswith("@"):
        return None if f"'{expression}'" in refused.UNKNOWN_DESCRIPTOR.cel else refused.UNKNOWN_DESCRIPTOR
    if not FIVE.search(expression):
        return refused.NOT_FIVE_FIELDS
    return None if FIELDS.search(expression) else refused.BAD_FIELD


def is_readable(expression: str) -> bool:
    try:
        parse_schedule(expression)
    except InvalidScheduleError:
        return False
    return True


def test_every_pattern_of_a_rule_that_has_one_is_looked_at_here() -> None:
    assert patterns(refused.NOT_FIVE_FIELDS) == [FIVE]
    assert patterns(refused.SHORT_EVERY) == [EVERY]


def test_no_expression_that_robfig_and_we_can_read_is_refused_at_apply() -> None:
    decoder = json.JSONDecoder()
    lines = READINGS.read_text(encoding="utf-8").rstrip("\n").split("\n")
    expressions = [decoder.raw_decode(line)[0] for line in lines]
    assert [e for e in expressions if is_readable(e) and refusal(e) is not None] == []


@pytest.mark.parametrize(
    ("expression", "rule"),
    [
        ("TZ=UTC 0 * * * *", "ZONE_IN_SCHEDULE"),
        ("CRON_TZ=Europe/Berlin 0 * * * *", "ZONE_IN_SCHEDULE"),
        ("@Hourly", "UNKNOWN_DESCRIPTOR"),
        ("@reboot", "UNKNOWN_DESCRIPTOR"),
        ("@every 90", "BAD_EVERY"),
        ("@every -5m", "BAD_EVERY"),
        ("@every 1d", "BAD_EVERY"),
        ("* * * *", "NOT_FIVE_FIELDS"),
        ("0 * * * * *", "NOT_FIVE_FIELDS"),
        ("61 * * * *", "BAD_FIELD"),
        ("* 24 * * *", "BAD_FIELD"),
        ("* * 0 * *", "BAD_FIELD"),
        ("* * 32 * *", "BAD_FIELD"),
        ("* * * 13 *", "BAD_FIELD"),
        ("* * * * 7", "BAD_FIELD"),
        ("* * * * MONDAY", "BAD_FIELD"),
        ("*/0 * * * *", "BAD_FIELD"),
        ("-5 * * * *", "BAD_FIELD"),
        ("1.5 * * * *", "BAD_FIELD"),
        ("5#2 * * * *", "BAD_FIELD"),
    ],
)
def test_common_mistakes_are_refused_at_apply_by_the_rule_that_says_what_to_write(expression: str, rule: str) -> None:
    assert refusal(expression) is getattr(refused, rule)
    assert not is_readable(expression)


def _field(least: int, most: int, names: str = "") -> st.SearchStrategy[str]:
    number = st.builds(
        "{}{}{}".format, st.sampled_from(["", "+"]), st.sampled_from(["", "0", "0000"]), st.integers(least, most)
    )
    value = (
        st.one_of(number, st.sampled_from(names.split()), st.sampled_from(names.upper().split())) if names else number
    )
    span = st.one_of(
        st.sampled_from("*?"),
        value,
        st.builds("{}-{}".format, value, value),
        st.builds("{}-{}".format, st.sampled_from("*?"), st.text("-x5*", max_size=3)),
    )
    stepped = st.one_of(span, st.builds("{}/{}{}".format, span, st.sampled_from(["", "+", "00"]), st.integers(1, 100)))
    return st.lists(st.one_of(stepped, st.just("")), min_size=1, max_size=4).map(",".join).filter(bool)


MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
DAYS = "sun mon tue wed thu fri sat"
fields = (_field(0, 59), _field(0, 23), _field(1, 31), _field(1, 12, MONTHS), _field(0, 6, DAYS))
spaces = st.text(" \t\n\v\f\r\x85\u00a0\u2003\u3000", min_size=1, max_size=2)
expressions = st.builds(
    lambda before, parts, between, after: (
        before + parts[0] + "".join(map("".join, zip(between, parts[1:], strict=True))) + after
    ),
    st.sampled_from(["", " "]),
    st.tuples(*fields),
    st.tuples(spaces, spaces, spaces, spaces),
    st.sampled_from(["", " ", "\n"]),
)


@given(expressions)
@example("0 0 1 * ,")
@example(", * * * *")
@example("*-x-y/2 * * * *")
def test_what_can_be_read_passes_at_apply(expression: str) -> None:
    if is_readable(expression):
        assert refusal(expression) is None


@given(
    st.lists(
        st.builds(
            "{}{}".format,
            st.sampled_from(["1", "90", "007", "1.5", "2.", ".5"]),
            st.sampled_from(["ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["", "+"]),
)
def test_every_duration_that_can_be_read_passes_at_apply(parts: list[str], sign: str) -> None:
    expression = f"@every {sign}{''.join(parts)}"
    assert refusal(expression) is None
    with_an_hour = f"{expression}1h"
    assert is_readable(with_an_hour)


@pytest.mark.parametrize(
    "name",
    ["role", "Role", "SESSION_AUTHORIZATION", "timezone", "TimeZone", "transaction_read_only", "Transaction_Isolation"],
)
def test_settings_that_are_the_operators_own_are_told_in_any_case(name: str) -> None:
    assert refused.is_reserved_setting(name)


@pytest.mark.parametrize(
    "name", ["work_mem", "jit", "statement_timeout", "default_transaction_isolation", "search_path"]
)
def test_other_settings_are_the_users(name: str) -> None:
    assert not refused.is_reserved_setting(name)
