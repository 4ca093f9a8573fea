"""The gaps between slots are those that walking from slot to slot comes to, and are found in few steps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from tests.unit.cron_fields import field
from trending.schedule.cron import Cron, InvalidScheduleError, parse_schedule
from trending.schedule.gaps import gaps
from trending.schedule.slots import CronSlots, Slots, slots_of, upcoming
from trending.schedule.zone import load_zone

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EVERY_MINUTE = "* * * * *"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walked(slots: Slots, since: datetime) -> list[datetime]:
    """The slots of the 8 days from an instant on, or the next 32 where these reach further: the definition."""
    following = upcoming(slots, since)
    found = list(islice(following, 32))
    for slot in following:
        if slot > since + 8 * DAY:
            break
        found.append(slot)
    return found


def rest_of_day(slots: CronSlots, zone: str, slot: datetime) -> Iterator[datetime]:
    """The slots from one on until the date or the offset is another one, by walking."""

    def day(instant: datetime) -> object:
        local = instant.astimezone(load_zone(zone))
        return local.date(), local.utcoffset()

    yield slot
    for following in upcoming(slots, slot):
        if day(following) != day(slot):
            break
        yield following


# Offsets change by an hour and by half of one, at midnight, at a minute past it, in the evening, by a whole day.
CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "America/Havana": ["2026-03-08T05:00", "2026-11-01T05:00"],
    "America/Santiago": ["2026-04-05T03:00", "2026-09-06T04:00"],
    "America/St_Johns": ["2009-03-08T03:31", "2009-11-01T02:31"],
    "Pacific/Chatham": ["2026-04-04T14:00", "2026-09-26T14:00"],
    "Pacific/Easter": ["2026-04-05T03:00", "2026-09-06T04:00"],
    "Pacific/Apia": ["2011-12-30T10:00"],
}


expressions = st.tuples(
    field(0, 59),
    field(0, 23),
    st.just("*") | field(1, 31),
    st.just("*") | field(1, 12),
    st.just("*") | field(0, 6),
).map(" ".join)
changes = st.sampled_from([(zone, utc(change)) for zone, instants in CHANGES.items() for change in instants])
near = st.timedeltas(-9 * DAY, DAY) | st.timedeltas(-180 * MINUTE, 180 * MINUTE)


@given(expressions, changes, near)
@example(EVERY_MINUTE, ("Europe/Berlin", utc("2026-03-29T01:00")), -9 * DAY)
@example("*/5 * * * *", ("Etc/UTC", utc("2026-11-23T08:17:42")), 0 * DAY)
@example("0 4 * * *", ("Etc/UTC", utc("2026-11-23T08:17")), 0 * DAY)
@example("0 * 1-19,21-31 * *", ("Etc/UTC", utc("2026-11-13T00:00")), 0 * DAY)  # its longest ends with the eighth day
@example("0 0-3 * * *", ("Etc/UTC", utc("2026-11-23T00:00")), -1 * MINUTE)
def test_the_gaps_are_those_among_the_slots_that_walking_comes_to(
    expression: str, change: tuple[str, datetime], before: timedelta
) -> None:
    zone, since = change[0], change[1] + before
    try:
        slots = walked(slots_of(expression, zone, base=since), since.replace(second=0, microsecond=0))
    except InvalidScheduleError:
        reject()
    assume(len(slots) > 1)
    apart = [later - earlier for earlier, later in pairwise(slots)]
    found = gaps(expression, zone, since)
    assert (found.shortest, found.longest) == (min(apart), max(apart))


@given(expressions, changes, near)
@example("55 1 * * *", ("Australia/Lord_Howe", utc("2026-10-03T15:30")), -5 * MINUTE)
@example("30,40 * 1 11 *", ("America/St_Johns", utc("2009-11-01T02:31")), -1 * MINUTE)
@example("30,40 * * 11 *", ("America/St_Johns", utc("2009-11-01T02:31")), -1 * MINUTE)
def test_the_rest_of_a_day_has_the_slots_that_walking_comes_to(
    expression: str, change: tuple[str, datetime], before: timedelta
) -> None:
    """Also where a slot itself does not match: 02:55 for 01:55, as robfig has it where a change comes in between."""
    zone, since = change[0], change[1] + before
    cron = parse_schedule(expression)
    assert isinstance(cron, Cron)
    slots = CronSlots(cron, load_zone(zone))
    slot = slots.next(since)
    if slot is None:
        reject()
    times = slots.rest_of_day(slot)
    of_day = [slot + timedelta(seconds=time - times[0]) for time in times]
    by_walking = list(rest_of_day(slots, zone, slot))
    assert of_day == by_walking[: len(of_day)]
    assert len(of_day) == len(by_walking) or len(of_day) == 1, "one alone is told where it does not match"


@pytest.mark.parametrize("expression", [EVERY_MINUTE, "*/5 * * * *", "0 * * * *"])
@pytest.mark.parametrize("zone", ["Etc/UTC", "Europe/Berlin"])
def test_schedules_made_at_other_minutes_cost_a_step_a_day_not_one_a_slot(
    monkeypatch: pytest.MonkeyPatch, expression: str, zone: str
) -> None:
    """A controller that starts asks for each of them, on its event loop: a step a slot held that up for seconds, and
    the Lease was lost."""
    steps, search = 0, CronSlots.next

    def counted(slots: CronSlots, after: datetime) -> datetime | None:
        nonlocal steps
        steps += 1
        return search(slots, after)

    monkeypatch.setattr(CronSlots, "next", counted)
    first, count = utc("2026-10-15T08:17"), 200
    for number in range(count):
        gaps(expression, zone, first + number * 17 * MINUTE)
    assert steps <= 14 * count
