"""Expressions are read as robfig/cron, and so Kubernetes' CronJob, reads them; tests/vectors asked it."""

import json
from pathlib import Path

import pytest

from trending.schedule.cron import STAR, Cron, Every, InvalidScheduleError, parse_schedule

READINGS = Path(__file__).parents[1] / "vectors" / "readings.txt"
_MINUTE, _HUNDRED_YEARS = 60, 100 * 366 * 86_400


def readings() -> list[tuple[str, str]]:
    """Expressions, each with robfig's reading."""
    decoder = json.JSONDecoder()
    found = []
    for line in READINGS.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        expression, end = decoder.raw_decode(line)
        found.append((expression, line[end:].strip()))
    return found


def our_reading(expression: str) -> str:
    try:
        read = parse_schedule(expression)
    except InvalidScheduleError:
        return "rejected"
    if isinstance(read, Every):
        return f"every {read.seconds}"
    return " ".join(f"{bits:x}" for bits in (read.minute, read.hour, read.day_of_month, read.month, read.day_of_week))


def is_refused_by_us_alone(expression: str, reading: str) -> bool:
    """A zone stands in spec.timeZone alone, which CronJob's own validation asks for too; `@every` is accepted from a
    minute to a hundred years, where robfig takes anything, also what is negative."""
    word, *numbers = reading.split()
    return "TZ=" in expression or (word == "every" and not _MINUTE <= int(numbers[0]) <= _HUNDRED_YEARS)


def test_every_expression_is_read_as_robfig_reads_it() -> None:
    vectors = readings()
    assert len(vectors) > 1000
    different = {
        expression: (theirs, ours)
        for expression, theirs in vectors
        if (ours := our_reading(expression)) != ("rejected" if is_refused_by_us_alone(expression, theirs) else theirs)
    }
    assert different == {}
    assert sum(theirs == "rejected" for _, theirs in vectors) > 300


@pytest.mark.parametrize(
    ("expression", "same_as"),
    [
        ("? ? ? ? ?", "* * * * *"),
        ("+5 * * * *", "5 * * * *"),
        ("1,,2 * * * *", "1,2 * * * *"),
        (",1, * * * *", "1 * * * *"),
        ("*/100 * * * *", "0-0/2 * * * *"),
        ("50/5 * * * *", "50,55 * * * *"),
        ("* * * JAN-mar *", "* * * 1-3 *"),
        ("* * * * SUN-sat/2", "* * * * 0,2,4,6"),
        ("0\u00a00\t1 \u2003* *", "0 0 1 * *"),
        ("0" * 30 + "5 * * * *", "5 * * * *"),
        ("@hourly", "0 * * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@every 1h30m", "@every 90m"),
        ("@every +1.5h", "@every 5400s"),
        ("@every 4.35m", "@every 261s"),
        ("@every 60000000\u00b5s", "@every 60000000\u03bcs"),
    ],
)
def test_what_robfig_takes_for_the_same_is_the_same(expression: str, same_as: str) -> None:
    assert parse_schedule(expression) == parse_schedule(same_as)


def test_only_a_star_of_step_one_makes_both_days_required() -> None:
    def stars(expression: str) -> list[bool]:
        read = parse_schedule(expression)
        assert isinstance(read, Cron)
        return [bool(read.day_of_month & STAR), bool(read.day_of_week & STAR)]

    assert stars("0 0 * * */1") == [True, True]
    assert stars("0 0 */2 * 1") == [False, False]
    assert stars("0 0 1-31 * ?") == [False, True]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("0 * * * * *", "has 6 fields; write five: minute, hour, day of month, month, day of week"),
        ("* * * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("61 * * * *", "minute '61': values go from 0 to 59"),
        ("* 24 * * *", "hour '24': values go from 0 to 23"),
        ("* * 0 * *", "day of month '0': values go from 1 to 31"),
        ("* * * 13 *", "month '13': values go from 1 to 12"),
        ("* * * * 7", "day of week '7': values go from 0 to 6"),
        ("5-3 * * * *", "minute '5-3': the range ends before it begins; write two ranges"),
        ("*/0 * * * *", "minute '*/0': a step is 1 or more"),
        ("* * * * MONDAY", "day of week 'MONDAY': write numbers, ranges such as 1-5"),
        ("1-2-3 * * * *", "one minus and one slash at most"),
        ("@reboot", "the words are @yearly"),
        ("@Hourly", "in lower case"),
        ("@every 90", "@every takes a positive duration, such as @every 90m"),
        ("@every -5m", "@every takes a positive duration"),
        ("@every 59s", "@every takes a minute or more, since a run's Job is named by the minute of its slot"),
        ("@every 59.999s", "@every takes a minute or more"),
        ("@every 878401h", "@every takes a hundred years at most"),
        ("TZ=UTC 0 * * * *", "the time zone does not belong into the schedule; write it in spec.timeZone"),
        ("CRON_TZ=UTC 0 * * * *", "write it in spec.timeZone"),
        ("0 * * * * TZ=UTC", "write it in spec.timeZone"),
    ],
)
def test_what_is_refused_is_told_with_the_field_and_what_to_write(expression: str, told: str) -> None:
    with pytest.raises(InvalidScheduleError) as refusal:
        parse_schedule(expression)
    assert told in str(refusal.value)
