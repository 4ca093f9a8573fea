"""Freshness: how old data may become, and whether they are, by the clock."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.kube import own_target
from tests.unit.schedules import SPEC, at
from trending.api.spec import TrendingScheduleSpec
from trending.api.status import TargetStatus
from trending.schedule.cron import InvalidScheduleError
from trending.schedule.freshness import Verdict, first_to_go_stale, judge, stale_after, target_stale_after
from trending.schedule.gaps import gaps
from trending.schedule.zone import UnknownTimeZoneError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def spec(**fields: Any) -> TrendingScheduleSpec:
    return TrendingScheduleSpec.model_validate({**SPEC, **fields})


def target(name: str, data: str | None = None, stale: str | None = None) -> TargetStatus:
    return TargetStatus(name=name, data_timestamp=at(data) if data else None, stale_time=at(stale) if stale else None)


class TestHowOldDataMayBecome:
    @pytest.mark.parametrize(
        ("schedule", "zone", "since", "gap"),
        [
            pytest.param("* * * * *", "Etc/UTC", "2026-11-23", timedelta(minutes=1), id="every minute"),
            pytest.param("0 * * * *", "Etc/UTC", "2026-11-23", HOUR, id="hourly"),
            pytest.param("0 8-18 * * MON-FRI", "Etc/UTC", "2026-11-23", 62 * HOUR, id="over the weekend"),
            pytest.param("0 0,1 * * *", "Etc/UTC", "2026-11-23", 23 * HOUR, id="uneven: the longest counts"),
            pytest.param("30 2 * * *", "Europe/Berlin", "2026-03-25", 47 * HOUR, id="a night that spring leaves out"),
            pytest.param("30 4 * * *", "Europe/Berlin", "2026-10-22", 25 * HOUR, id="a night that autumn lengthens"),
            pytest.param("0 0 * * MON", "Etc/UTC", "2026-11-23", 7 * DAY, id="weekly: 32 slots reach further"),
            pytest.param("0 0 1 * *", "Etc/UTC", "2026-11-23", 31 * DAY, id="monthly"),
            pytest.param("0 0 29 2 *", "Etc/UTC", "2026-11-23", 1461 * DAY, id="29 February"),
            pytest.param("0 0 29 2 *", "Etc/UTC", "2095-11-23", 1460 * DAY, id="a single slot within five years"),
            pytest.param("@every 90m", "Etc/UTC", "2026-11-23", 1.5 * HOUR, id="every: its duration"),
        ],
    )
    def test_the_longest_gap_between_slots_counts(self, schedule: str, zone: str, since: str, gap: timedelta) -> None:
        assert gaps(schedule, zone, utc(f"{since}T00:00:00")).longest == gap

    def test_a_gap_beyond_eight_days_and_32_slots_does_not_count(self) -> None:
        """Hourly, but not on the 20th of a month, which is day 9 from the 11th and day 5 from the 15th."""
        uneven = "0 * 1-19,21-31 * *"
        assert gaps(uneven, "Etc/UTC", utc("2026-11-11T00:30:00")).longest == HOUR
        assert gaps(uneven, "Etc/UTC", utc("2026-11-15T00:30:00")).longest == 25 * HOUR

    def test_the_time_until_the_first_slot_is_no_gap(self) -> None:
        assert gaps("0 0-5 1 * *", "Etc/UTC", utc("2026-11-02T00:00:00")).longest == 31 * DAY - 5 * HOUR

    def test_twice_the_longest_gap_by_default(self) -> None:
        assert stale_after(spec(), since=at("08:30")) == 2 * HOUR

    def test_what_the_spec_says_counts_though_the_schedule_cannot_be_read(self) -> None:
        assert stale_after(spec(staleAfter="26h"), since=at("08:30")) == 26 * HOUR
        assert stale_after(spec(staleAfter="26h", schedule="0 0 31 2 *"), since=at("08:30")) == 26 * HOUR

    def test_a_schedule_that_cannot_be_read_has_no_default(self) -> None:
        with pytest.raises(InvalidScheduleError):
            stale_after(spec(schedule="0 0 31 2 *"), since=at("08:30"))
        with pytest.raises(UnknownTimeZoneError):
            stale_after(spec(timeZone="Mars/Olympus"), since=at("08:30"))

    def test_a_target_may_be_as_old_as_the_schedule_says_and_its_every_more(self) -> None:
        [hourly, daily, own] = spec(
            rewrite=[
                own_target("hourly", id=["1"]),
                {**own_target("daily", id=["2"]), "every": "24h"},
                {**own_target("own", id=["3"]), "every": "24h", "staleAfter": "25h"},
            ]
        ).rewrite
        schedules = stale_after(spec(), since=at("08:30"))
        assert target_stale_after(hourly, schedules) == 2 * HOUR
        assert target_stale_after(daily, schedules) == 26 * HOUR
        assert target_stale_after(daily, 3 * HOUR) == 27 * HOUR, "also where the schedule has one of its own"
        assert target_stale_after(own, schedules) == 25 * HOUR

    def test_only_a_target_s_own_counts_where_the_schedule_cannot_be_read(self) -> None:
        plain = TrendingScheduleSpec.model_validate({**SPEC, "rewrite": [own_target("a")]}).rewrite[0]
        own = plain.model_copy(update={"stale_after": DAY})
        assert (target_stale_after(plain, None), target_stale_after(own, None)) == (None, DAY)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("now", "fresh", "reason"),
        [
            ("09:00", True, "UpToDate"),
            ("09:59:59", True, "UpToDate"),
            ("10:00", False, "TooOld"),
            ("15:00", False, "TooOld"),
        ],
    )
    def test_data_are_stale_from_their_stale_time_on(self, now: str, fresh: bool, reason: str) -> None:
        verdict = judge([target("a", "08:00", "10:00")], ever_succeeded=True, now=at(now))
        assert (verdict.fresh, verdict.reason, verdict.stale_time) == (fresh, reason, at("10:00"))

    def test_the_message_names_the_target_that_goes_stale_first_and_when(self) -> None:
        targets = [target("slow", "07:00", "12:00"), target("quick", "08:00", "10:00")]
        fresh = judge(targets, ever_succeeded=True, now=at("09:00"))
        assert fresh.message == (
            "The data are of 2026-11-23T08:00:00Z or newer; target quick goes stale first, at 2026-11-23T10:00:00Z."
        )
        stale = judge(targets, ever_succeeded=True, now=at("10:00"))
        assert stale.message == (
            "The data of target quick are of 2026-11-23T08:00:00Z and became stale at 2026-11-23T10:00:00Z, 2h later."
        )

    def test_before_any_success_there_are_no_data_and_the_target_is_named(self) -> None:
        verdict = judge([target("a", "08:00", "10:00"), target("b")], ever_succeeded=False, now=at("09:00"))
        assert (verdict.fresh, verdict.reason) == (False, "NeverSucceeded")
        assert verdict.message == "No run has succeeded yet, and target b has no data."

    def test_a_target_that_never_had_data_makes_them_stale_and_is_named(self) -> None:
        verdict = judge([target("a", "08:00", "10:00"), target("b")], ever_succeeded=True, now=at("09:00"))
        assert (verdict.fresh, verdict.reason) == (False, "TargetWithoutData")
        assert "Target b " in verdict.message
        assert verdict.stale_time is None

    def test_data_of_a_failed_first_run_are_fresh_where_every_target_has_them(self) -> None:
        """What counts is the data, whatever the runs did."""
        assert judge([target("a", "08:00", "10:00")], ever_succeeded=False, now=at("09:00")).fresh

    def test_without_targets_nothing_is_fresh(self) -> None:
        assert judge([], ever_succeeded=True, now=at("09:00")) == Verdict(
            fresh=False, reason="NeverSucceeded", message="There are no targets."
        )


def test_the_first_to_go_stale_is_the_earliest_and_of_two_the_first_by_name() -> None:
    targets = [target("c", "08:00", "11:00"), target("b", "09:00", "10:00"), target("a", "07:00", "10:00"), target("d")]
    first = first_to_go_stale(targets)
    assert first is not None
    assert first.name == "a"
    assert first_to_go_stale([target("d")]) is None
