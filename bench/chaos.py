"""`python -m bench.chaos`: two controllers disturbed at random for ten minutes; what they kept, and how late they were.

Needs the program that `make cluster` builds; no cluster, no database. Prints each disturbance as it comes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.table import Table

from bench.console import console, keep, say
from tests.chaos.audit import Write, read_writes, terms, twice_created, written_without_the_lead
from tests.chaos.campaign import campaign
from tests.chaos.verdict import Name, Slot, reigns_of, slots_of
from tests.waiting import TooLateError, until

DISTURBANCES: Final = (
    "kill_the_leader",
    "kill_the_leader_and_see_another_lead",
    "kill_one",
    "freeze_the_leader",
    "freeze_the_leader_for_a_moment",
    "stop_the_leader",
    "cut_the_leader_off",
    "cut_all_watches",
    "slow_etcd",
    "stop_the_api_server",
)
RIGHT: Final = "controller-0"
LONG: Final = "stop_the_api_server_for_two_minutes"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--schedules", type=int, default=40, help="how many, each of every minute (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="what befalls them (default 1)")
    parser.add_argument("--skew", type=float, default=15, help="by how many seconds one clock is ahead (default 15)")
    parser.add_argument("--keep", help="a folder to be made, for the audit log and the controllers' logs")
    given = parser.parse_args(arguments)
    names: list[Name] = [("default", f"s{number}") for number in range(given.schedules)]
    chance, done = random.Random(given.seed), Counter[str]()  # noqa: S311 (chaos, not secrets)
    with campaign(seed=given.seed, skews=(0.0, given.skew), say=say) as disturbed:
        disturbed.apply(names)
        began = datetime.now(UTC)
        disturbed.wait_for_leader()
        end = time.monotonic() + given.minutes * 60
        while (left := end - time.monotonic()) > 0:
            long = LONG not in done and given.minutes >= 5 and left < given.minutes * 30
            name = LONG if long else chance.choice(DISTURBANCES)
            disturbed.disturb(name)
            done[name] += 1
            time.sleep(chance.uniform(3, 20))
        disturbed.wait_for_leader()
        ended = datetime.now(UTC)
        disturbed.apply(names, suspend=True)
        try:
            until(lambda: not disturbed.wrong(names), what="all is right in the end", seconds=120)
        except TooLateError:
            wrong = disturbed.wrong(names)
        else:
            wrong = {}
        writes = read_writes(disturbed.folder)
        if given.keep:
            shutil.copytree(disturbed.folder, given.keep)
            for replica in disturbed.replicas:
                shutil.copy(replica.process.log, given.keep)
        result = judge(writes, slots_of(names, writes, since=began, until=ended), ahead=given.skew)
        for replica in disturbed.replicas:
            for line in troubles(replica.process.said()):
                say(f"{replica.process.name} said: {line}")
    result |= {"disturbances": dict(done), "wrong in the end": wrong, "minutes": given.minutes, "seed": given.seed}
    show(result)
    keep("chaos", result)


def troubles(log: str) -> list[str]:
    """Return what a controller said that tells of a fault of its own."""
    return [line for line in log.splitlines() if "CRITICAL" in line or "Traceback" in line]


def judge(writes: Sequence[Write], slots: Sequence[Slot], *, ahead: float) -> dict[str, Any]:
    """Return what was kept, and how late."""
    reigns = reigns_of(writes)
    missed = [slot for slot in slots if slot.created is None]
    late = [slot.late for slot in slots if slot.late is not None and slot.by == RIGHT]
    return {
        "slots": len(slots),
        "created twice": twice_created(writes),
        "written without the lead": [str(write) for write in written_without_the_lead(writes)],
        "terms of leaders": len(terms(writes)),
        "passed over while nobody could lead": sum(slot.is_excused(reigns, ahead=ahead) for slot in missed),
        "missed otherwise": [str(slot) for slot in missed if not slot.is_excused(reigns, ahead=ahead)],
        "start after due by the one whose clock is right, seconds: p50, p95, max": [
            round(statistics.median(late), 2),
            round(statistics.quantiles(late, n=20, method="inclusive")[-1], 2),
            round(max(late), 2),
        ],
        "without a leader, seconds": sorted((round(gap, 1) for gap in gaps(writes)), reverse=True),
        "writes": dict(Counter(f"{w.verb} {w.resource} {w.code}" for w in writes if w.resource != "leases")),
    }


def gaps(writes: Sequence[Write]) -> list[float]:
    """Return for how long nobody held the Lease at each change: from the last renewal to the first of another."""
    found: list[float] = []
    last: Write | None = None
    for write in writes:
        if write.resource == "leases" and write.succeeded:
            if write.holder and last is not None and last.who != write.who:
                found.append((write.done - last.done) / timedelta(seconds=1))
            last = write
    return found


def show(result: dict[str, Any]) -> None:
    table = Table(show_header=False)
    for name, value in result.items():
        table.add_row(name, str(value))
    console.print(table)


if __name__ == "__main__":
    main()
