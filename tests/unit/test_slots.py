"""Slots are the instants at which a CronJob of the same schedule would fire; tests/vectors asked robfig/cron."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cron_fields import field
from trending.schedule.cron import Cron, InvalidScheduleError, parse_schedule
from trending.schedule.slots import CronSlots, EverySlots, Slots, slots_of
from trending.schedule.zone import load_zone

INSTANTS = Path(__file__).parents[1] / "vectors" / "instants.txt"
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cron_slots(expression: str, zone: str = "Etc/UTC") -> CronSlots:
    cron = parse_schedule(expression)
    assert isinstance(cron, Cron)
    return CronSlots(cron, load_zone(zone))


def walked(slots: Slots, after: datetime) -> Iterator[datetime]:
    while (slot := slots.next(after)) is not None:
        yield slot
        after = slot


def vectors() -> Iterator[tuple[str, str, datetime, list[str]]]:
    """Expression, zone, an instant and robfig's answers: seconds on to each next slot, or a word for none."""
    for line in INSTANTS.read_text(encoding="utf-8").splitlines():
        expression, zone, after, answers = line.split("|")
        yield expression, zone, datetime.fromtimestamp(int(after), UTC), answers.split()


def first_match(expression: str, zone: str, after: datetime) -> datetime:
    """The first minute whose local time matches, found by looking at each: what robfig's answer is meant to be."""
    minute, hour, day, _, weekday = expression.split()
    at = after
    while True:
        at += MINUTE
        local = at.astimezone(load_zone(zone))
        wanted = (minute, hour, day, weekday)
        if all(
            want in ("*", str(have))
            for want, have in zip(wanted, (local.minute, local.hour, local.day, local.isoweekday() % 7), strict=True)
        ):
            return at


def test_slots_are_robfigs() -> None:
    different, count = [], 0
    for expression, zone, after, answers in vectors():
        slots: Slots = slots_of(expression, zone, base=after) if "@" in expression else cron_slots(expression, zone)
        at = after
        for answer in answers:
            if answer in ("hangs", "repeats"):
                break
            count += 1
            expected = None if answer == "never" else at + timedelta(seconds=int(answer))
            slot = slots.next(at)
            if slot != expected or slot is None:
                if slot != expected:
                    different.append((expression, zone, at.isoformat(), expected, slot))
                break
            at = slot
    assert count > 10_000
    assert different == []


@pytest.mark.parametrize(
    ("expression", "zone", "after"),
    [(e, z, after) for e, z, after, answers in vectors() if answers == ["hangs"]],
)
def test_where_robfig_searches_for_ever_the_slot_is_the_next_minute_that_matches(
    expression: str, zone: str, after: datetime
) -> None:
    assert cron_slots(expression, zone).next(after) == first_match(expression, zone, after)


def test_a_slot_is_later_than_the_instant_it_follows_where_robfig_stands_still() -> None:
    twice = utc("2013-04-06T14:11:00")  # 02:56 for the second time; robfig's next one for 03:56 is this again
    assert cron_slots("56 3 * * *", "Pacific/Chatham").next(twice) == utc("2013-04-06T15:11:00")


@pytest.mark.parametrize(
    ("expression", "zone", "after", "slots"),
    [
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00",
            ["2026-03-28T01:30", "2026-03-30T00:30"],
            id="a local time that spring leaves out is left out",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-26T01:30"],
            id="a local time that autumn has twice fires twice",
        ),
        pytest.param(
            "0 */2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            ["2026-03-29T02:00", "2026-03-29T04:00"],
            id="an hour left out is not made up for",
        ),
        pytest.param(
            "0 0 13 * FRI",
            "Etc/UTC",
            "2026-11-08T00:00",
            [
                "2026-11-13T00:00",
                "2026-11-20T00:00",
                "2026-11-27T00:00",
                "2026-12-04T00:00",
                "2026-12-11T00:00",
                "2026-12-13T00:00",
            ],
            id="either day of month or day of week",
        ),
        pytest.param(
            "0 0 * * FRI",
            "Etc/UTC",
            "2026-11-14T00:00",
            ["2026-11-20T00:00"],
            id="a star leaves the other day to decide",
        ),
        pytest.param(
            "0 0 29 2 *",
            "Etc/UTC",
            "2026-11-23T00:00",
            ["2028-02-29T00:00", "2032-02-29T00:00"],
            id="29 February comes in leap years",
        ),
        pytest.param(
            "0 0 29 2 *", "Etc/UTC", "2096-03-01T00:00", [], id="robfig gives up over the eight years without one"
        ),
    ],
)
def test_a_schedule_fires_when_its_zones_clock_says_so(
    expression: str, zone: str, after: str, slots: list[str]
) -> None:
    found = walked(cron_slots(expression, zone), utc(after))
    assert list(islice(found, max(1, len(slots)))) == [utc(slot) for slot in slots]


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6 *", ", * * * *", "0 0 , * ,"])
def test_an_expression_that_never_fires_is_told(expression: str) -> None:
    with pytest.raises(InvalidScheduleError, match="never fires: no such day comes within five years"):
        slots_of(expression, "Etc/UTC", base=utc("2026-11-23T00:00"))


def test_the_instant_itself_is_no_slot_after_it_and_parts_of_a_second_do_not_count() -> None:
    slots, noon = cron_slots("0 12 * * *"), utc("2026-11-23T12:00")
    assert slots.next(noon - timedelta(microseconds=1)) == noon
    assert slots.next(noon) == noon + DAY
    assert slots.next(noon + timedelta(microseconds=1)) == noon + DAY
    assert slots.latest(noon - timedelta(microseconds=1), after=noon - HOUR) is None
    assert slots.latest(noon, after=noon - timedelta(microseconds=1)) == noon
    assert slots.latest(noon, after=noon) is None


@pytest.mark.parametrize("before", [1, 29, 30, 31, 59, 60, 61])
def test_a_slot_is_found_however_shortly_before_it_one_begins_to_look(before: int) -> None:
    noon = utc("2026-11-23T12:00")
    assert cron_slots("0 12 * * *").latest(noon, after=noon - before * SECOND) == noon


def test_nothing_is_newest_in_a_span_that_ends_before_it_begins() -> None:
    noon = utc("2026-11-23T12:00")
    assert cron_slots("* * * * *").latest(noon, after=noon + HOUR) is None
    assert EverySlots(base=noon - DAY, seconds=60).latest(noon, after=noon + HOUR) is None


def test_every_counts_from_its_base() -> None:
    base = utc("2026-11-23T10:00:07")
    slots = slots_of("@every 90m", "Etc/UTC", base=base)
    assert list(islice(walked(slots, base), 2)) == [base + 90 * MINUTE, base + 180 * MINUTE]
    assert slots.next(base - DAY) == base + 90 * MINUTE
    assert slots.next(base + 90 * MINUTE - SECOND) == base + 90 * MINUTE
    assert slots.latest(base + 100 * DAY, after=base) == base + 100 * DAY
    assert slots.latest(base + 89 * MINUTE, after=base - DAY) is None


@pytest.mark.parametrize("zone", ["Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Pyongyang"])
def test_every_is_the_same_in_every_zone(zone: str) -> None:
    base = utc("2026-10-24T23:30:00")
    assert slots_of("@every 1h", zone, base=base).next(base + 5 * HOUR) == base + 6 * HOUR


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
instants = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 (hypothesis adds the zone itself)
    lambda moment: moment.replace(microsecond=0)
)
zones = st.sampled_from(
    ["Etc/UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Havana", "Africa/Cairo"]
)


@given(expressions, zones, instants, st.integers(0, 40))
def test_the_newest_slot_is_the_last_one_that_walking_comes_to(
    expression: str, zone: str, after: datetime, count: int
) -> None:
    slots = cron_slots(expression, zone)
    steps = list(islice(walked(slots, after), count + 1))
    last, following = (steps[-2] if count else None), steps[-1]
    assert slots.latest(following - SECOND, after=after) == last
    assert slots.latest(following, after=after) == following


@given(expressions, st.sampled_from([zone for _, zone, _, _ in vectors()]), instants, st.integers(1, 400))
def test_slots_always_move_on_and_the_newest_is_the_one_before_the_next(
    expression: str, zone: str, until: datetime, days: int
) -> None:
    slots = cron_slots(expression, zone)
    assert all(one < next_one for one, next_one in pairwise(islice(walked(slots, until), 5)))
    newest = slots.latest(until, after=until - days * DAY)
    if newest is not None:
        assert until - days * DAY < newest <= until
        following = slots.next(newest)
        assert following is None or following > until


def test_the_newest_slot_is_seen_where_robfig_tells_it_only_from_before_a_change() -> None:
    """In Lord Howe 02:00 becomes 02:30; robfig, told to find minute 55 after 01:55, comes to 02:55."""
    slots = cron_slots("55 1 * * *", "Australia/Lord_Howe")
    before, curious = utc("2026-10-03T15:25"), utc("2026-10-03T15:55")
    assert slots.next(before) == curious
    assert slots.latest(curious, after=before) == curious
    assert slots.latest(curious + HOUR, after=before - 7 * DAY) == curious


def test_the_newest_slot_is_found_in_few_steps_however_long_ago_the_last_one_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slots, steps = cron_slots("* * 1 1 *"), 0
    search = slots._next

    def counted(after: int) -> int | None:
        nonlocal steps
        steps += 1
        return search(after)

    monkeypatch.setattr(slots, "_next", counted)
    assert slots.latest(utc("2026-11-23T00:00"), after=utc("2000-01-01T00:00")) == utc("2026-01-01T23:59")
    assert steps < 100
