"""Two controllers at once, killed, frozen, stopped and cut off: nothing twice, nothing missed, one writes at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

from tests.chaos.audit import read_writes, terms, twice_created, written_without_the_lead
from tests.chaos.campaign import campaign
from tests.chaos.verdict import Name, all_counted, reigns_of, slots_of
from tests.waiting import until

SCHEDULES: Final[list[Name]] = [("default", f"s{number}") for number in range(12)]
AHEAD: Final = 15.0
DISTURBANCES: Final = (
    "kill_the_leader_and_see_another_lead",
    "freeze_the_leader",
    "stop_the_leader",
    "cut_all_watches",
    "slow_etcd",
    "cut_the_leader_off",
    "stop_the_api_server",
)


def _until(end: datetime) -> Iterator[str]:
    """Yield each disturbance once, and then again as long as the end has not come."""
    for number, name in enumerate(cycle(DISTURBANCES)):
        if number >= len(DISTURBANCES) and datetime.now(UTC) > end:
            return
        yield name


def test_whatever_befalls_two_controllers_each_slot_is_run_once_and_one_of_them_writes() -> None:
    """The second's clock is a quarter of a minute ahead."""
    with campaign(seed=1, skews=(0.0, AHEAD)) as disturbed:
        disturbed.apply(SCHEDULES)
        began = datetime.now(UTC)
        disturbed.wait_for_leader()
        for name in _until(all_counted(since=began)):
            disturbed.disturb(name)
            time.sleep(disturbed.chance.uniform(1, 3))
        disturbed.wait_for_leader()
        ended = datetime.now(UTC)
        disturbed.apply(SCHEDULES, suspend=True)
        until(lambda: not disturbed.wrong(SCHEDULES), what="all is right in the end", seconds=90)
        writes = read_writes(disturbed.folder)
    assert twice_created(writes) == []
    assert written_without_the_lead(writes) == []
    assert len(terms(writes)) > 3, "the lead changed hands"
    reigns = reigns_of(writes)
    slots = slots_of(SCHEDULES, writes, since=began, until=ended)
    assert {slot.schedule for slot in slots} == set(SCHEDULES)
    assert [slot for slot in slots if slot.created is None and not slot.is_excused(reigns, ahead=AHEAD)] == []
