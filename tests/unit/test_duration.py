"""Durations are whole, positive and written as Go writes them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from trending.api.duration import NOT_NEGATIVE, POSITIVE, DurationOrZero, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("30m1h", 5400),
        ("0h1s", 1),
        ("1s1s", 2),
        ("0000090s", 90),
    ],
)
def test_hours_minutes_and_seconds_add_up(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "0h0m",
        "-1h",
        "+1h",
        "1.5h",
        "90",
        "1d",
        "1ms",
        "1H",
        " 1h",
        "1h ",
        "1h\n",
        "1 h",
        "h",
        "٣h",
        "12345678s",
        "9999999h" * 5,
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write 90s, 30m, 2h or 1h30m") as refusal:
        parse_duration(text)
    assert repr(text) in str(refusal.value)
    assert POSITIVE.message in str(refusal.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (0.6, "1s"),
        (59, "59s"),
        (60, "1m"),
        (182, "3m2s"),
        (7200, "2h"),
        (7201, "2h1s"),
        (93_600, "26h"),
        (-5, "0s"),
    ],
)
def test_a_span_is_written_without_its_zeros(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(1, 10**9))
def test_what_is_written_reads_back_the_same(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("0h0m", 0), ("1s", 1), ("1h30m", 5400)])
def test_where_none_at_all_may_be_said_zero_is_a_duration(text: str, seconds: int) -> None:
    assert TypeAdapter(DurationOrZero).validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "-1h", "1.5h", "90", "1d", "0", "PT0S"])
def test_where_zero_is_a_duration_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write 0s, 90s, 30m, 2h or 1h30m") as refusal:
        TypeAdapter(DurationOrZero).validate_python(text)
    assert NOT_NEGATIVE.message in str(refusal.value)
