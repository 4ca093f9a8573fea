"""A schedule in words: short, and never of another schedule."""

from itertools import product

import pytest

from trending.schedule.cron import STAR, Cron, parse_schedule
from trending.schedule.words import in_words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0,30 * * * *", "every 30 minutes"),
        ("0 * * * *", "every hour at minute 0"),
        ("@hourly", "every hour at minute 0"),
        ("5,20,50 * * * *", "every hour at minutes 5, 20 and 50"),
        ("17 * * * 0", "every hour at minute 17, on Sunday"),
        ("0 */2 * * *", "every 2 hours, at minute 0"),
        ("5 8-18 * * *", "every hour from 08 to 18, at minute 5"),
        ("* 8 * * *", "every minute from 08:00 to 08:59"),
        ("*/15 8-18 * * MON-FRI", "every 15 minutes from 08:00 to 18:59, Monday to Friday"),
        ("30 2 * * *", "every day at 02:30"),
        ("@daily", "every day at 00:00"),
        ("0 6,18 * * *", "every day at 06:00 and 18:00"),
        ("0 0 1-31 * 1", "every day at 00:00"),
        ("30 2 * * MON-FRI", "Monday to Friday at 02:30"),
        ("0 0 * * SAT,SUN", "on Saturday and Sunday at 00:00"),
        ("0 12 ? * FRI,SAT,SUN", "Friday to Sunday at 12:00"),
        ("0 0 1,15 * *", "on days 1 and 15 of the month at 00:00"),
        ("0 0 13 * FRI", "on day 13 of the month or on Friday at 00:00"),
        ("@yearly", "on day 1 of the month in January at 00:00"),
        ("0 0 * 5-9 *", "every day from May to September at 00:00"),
        ("@every 24h", "every day"),
        ("@every 90m", "every 90 minutes"),
        ("@every 61s", "every 1m1s"),
    ],
)
def test_it_says_what_a_person_would_say(expression: str, words: str) -> None:
    assert in_words(expression) == words


@pytest.mark.parametrize("expression", ["1-59/7 * * * *", "0 0 */2 * *", "0 1/2 * * *", "* * * * * *", "@every 1s", ""])
def test_what_has_no_short_words_or_cannot_be_read_gets_none(expression: str) -> None:
    assert in_words(expression) is None


def test_the_same_words_are_never_said_of_two_schedules() -> None:
    minutes = ("*", "0", "5", "*/15", "0,30", "1-3", "7/10")
    hours = ("*", "0", "8-18", "*/2", "0-22/2")
    days = ("*", "1", "1,15", "10-12", "1-31", "?")
    months = ("*", "1", "5-9")
    weekdays = ("*", "1-5", "0,6", "0", "1,3", "0-6")
    said: dict[str, tuple[object, ...]] = {}
    for fields in product(minutes, hours, days, months, weekdays):
        expression = " ".join(fields)
        words = in_words(expression)
        if words is not None:
            meant = meaning(expression)
            assert said.setdefault(words, meant) == meant, (expression, words)
    assert len(said) > 500


def meaning(expression: str) -> tuple[object, ...]:
    """When it fires: its minutes, hours and months, and which of the days of a month and week fit."""
    cron = parse_schedule(expression)
    assert isinstance(cron, Cron)
    both = bool((cron.day_of_month | cron.day_of_week) & STAR)
    fits = frozenset(
        (day, weekday)
        for day, weekday in product(range(1, 32), range(7))
        for one, other in [(cron.day_of_month >> day & 1, cron.day_of_week >> weekday & 1)]
        if (one and other if both else one or other)
    )
    return cron.minute & ~STAR, cron.hour & ~STAR, cron.month & ~STAR, fits
