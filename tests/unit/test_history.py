"""Which ends are told in the status already, and which finished Jobs are deleted."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedules import at, job
from trending.api.status import ActiveRun, LastRun, TrendingScheduleStatus
from trending.schedule.history import is_recorded, surplus, unrecorded
from trending.schedule.observed import Job

SECOND = timedelta(seconds=1)


def told(last: Job, *active: Job, result: Any = "Succeeded") -> TrendingScheduleStatus:
    """A status that tells of a Job's run as the last one, and calls others active."""
    return TrendingScheduleStatus(
        active=tuple(ActiveRun(name=job.name, uid=job.uid) for job in active),
        last_run=LastRun(
            job=last.name,
            scheduled_time=last.scheduled_time,
            start_time=last.started or last.created,
            completion_time=last.ended,
            result=result,
        ),
    )


NOTHING = TrendingScheduleStatus()


def finished(name: str, *, ended: str, started: str | None = "08:00", finish: Any = "Complete") -> Job:
    start = at(started) if started else None
    return replace(job("08:00", ended=ended, finished=finish), name=name, uid=name, created=at("08:00"), started=start)


def trimmed(jobs: list[Job], *, succeeded: int = 3, failed: int = 1, last: Job | None = None) -> list[str]:
    recorded = told(last or max(jobs, key=lambda job: job.ended or job.created))
    return surplus(jobs, succeeded_limit=succeeded, failed_limit=failed, status=recorded)


class TestLimits:
    def test_the_newest_by_start_time_are_kept_and_the_oldest_go_first(self) -> None:
        jobs = [finished(f"j{n}", started=f"0{n}:00", ended=f"0{n}:30") for n in (4, 1, 5, 3, 2)]
        assert trimmed(jobs) == ["j1", "j2"]

    def test_succeeded_and_failed_jobs_are_counted_apart(self) -> None:
        good = [finished(f"good{n}", started=f"0{n}:00", ended=f"0{n}:30") for n in (1, 2, 3)]
        bad = [finished(f"bad{n}", started=f"0{n}:40", ended=f"0{n}:50", finish="Failed") for n in (1, 2, 3)]
        assert trimmed([*good, *bad]) == ["bad1", "bad2"]
        assert trimmed([*good, *bad], succeeded=1, failed=2) == ["good1", "good2", "bad1"]

    def test_a_limit_of_zero_keeps_none(self) -> None:
        jobs = [finished("a", ended="09:00"), finished("b", ended="09:01", finish="Failed")]
        assert trimmed(jobs, succeeded=0, failed=0) == ["a", "b"]

    def test_fewer_than_the_limit_are_all_kept(self) -> None:
        assert trimmed([finished("a", ended="09:00")], succeeded=1000) == []

    def test_a_job_that_never_started_counts_as_the_newest(self) -> None:
        jobs = [
            finished("never", started=None, ended="08:10", finish="Failed"),
            finished("late", started="09:00", ended="09:10", finish="Failed"),
        ]
        assert trimmed(jobs) == ["late"]

    def test_of_jobs_started_in_the_same_second_the_first_by_name_goes_first(self) -> None:
        jobs = [finished(name, ended="09:00") for name in "cab"]
        assert trimmed(jobs, succeeded=1, last=jobs[0]) == ["a", "b"]

    def test_an_active_job_is_neither_counted_nor_deleted(self) -> None:
        jobs = [job("10:00"), finished("a", ended="09:00")]
        assert trimmed(jobs, succeeded=1, last=jobs[1]) == []
        assert trimmed(jobs, succeeded=0, last=jobs[1]) == ["a"]

    def test_no_job_is_deleted_before_its_end_is_in_the_written_status(self) -> None:
        old, new = finished("old", ended="08:30"), finished("new", started="09:00", ended="09:30")
        assert surplus([old, new], succeeded_limit=0, failed_limit=0, status=NOTHING) == []
        assert surplus([old, new], succeeded_limit=0, failed_limit=0, status=told(old)) == ["old"]
        assert surplus([old, new], succeeded_limit=0, failed_limit=0, status=told(new)) == ["old", "new"]

    def test_an_unrecorded_job_takes_its_place_among_those_kept(self) -> None:
        old, new = finished("old", ended="08:30"), finished("new", started="09:00", ended="09:30")
        assert surplus([old, new], succeeded_limit=1, failed_limit=0, status=told(old)) == ["old"]


class TestRecords:
    def test_an_active_job_has_no_end_to_record(self) -> None:
        assert unrecorded([job("10:00")], NOTHING) == []
        assert not is_recorded(job("10:00"), told(finished("a", ended="09:00")), [])

    def test_ends_are_told_oldest_first(self) -> None:
        jobs = [finished("b", ended="09:30"), finished("c", ended="10:00"), finished("a", ended="09:00")]
        assert [job.name for job in unrecorded(jobs, NOTHING)] == ["a", "b", "c"]

    def test_of_ends_in_the_same_second_the_one_that_started_later_came_later(self) -> None:
        late = finished("a", started="08:59", ended="09:00")
        early = finished("b", started="08:10", ended="09:00")
        assert [job.name for job in unrecorded([late, early], NOTHING)] == ["b", "a"]
        assert is_recorded(early, told(late), [early])
        assert not is_recorded(late, told(early), [late])

    def test_the_last_run_itself_is_recorded_whatever_its_times_are(self) -> None:
        run = finished("a", ended="09:00")
        assert is_recorded(replace(run, ended=at("09:00") + SECOND), told(run), [])

    def test_no_run_that_started_after_one_that_was_replaced_is_recorded_whenever_that_was(self) -> None:
        """The end of the latter is told by the controller's clock, which may be ahead."""
        replaced = told(finished("b", started="09:00", ended="10:05"), result="Replaced")
        assert not is_recorded(finished("c", started="10:00", ended="10:03"), replaced, [])
        assert is_recorded(finished("a", started="08:00", ended="08:59"), replaced, [])

    def test_of_slots_runs_the_slots_say_which_is_before_whatever_any_clock_said(self) -> None:
        one, two = job("09:00", ended="10:10", finished="Complete"), job("10:00", ended="10:05", finished="Complete")
        for created in ("09:00", "10:30"):
            first = replace(one, created=at(created))
            for jobs in ([first, two], [two]):
                assert not is_recorded(two, told(first, two), jobs)
            assert is_recorded(first, told(two), [first, two])

    def test_a_run_that_the_status_calls_active_is_not_told_whatever_any_clock_said(self) -> None:
        one = job("09:00", ended="10:10", finished="Complete")
        by_hand = job("08:00", ended="08:05", finished="Complete", request="now")
        assert not is_recorded(by_hand, told(one, by_hand), [one, by_hand])
        assert is_recorded(by_hand, told(one), [one, by_hand])

    @pytest.mark.parametrize(
        ("created", "ended"),
        [
            pytest.param("08:50", "09:10", id="its end was told by a clock that was ahead"),
            pytest.param("09:30", "08:55", id="it was created by a clock that was ahead"),
        ],
    )
    def test_a_run_by_hand_that_was_told_is_not_told_again(self, created: str, ended: str) -> None:
        one = job("09:00", ended="09:05", finished="Complete")
        by_hand = replace(job("08:50", ended=ended, finished="Complete", request="now"), created=at(created))
        assert is_recorded(by_hand, told(one), [one, by_hand])

    def test_a_last_run_without_an_end_records_no_other(self) -> None:
        assert not is_recorded(
            finished("a", ended="09:00"), TrendingScheduleStatus(last_run=LastRun(job="b", result="Failed")), []
        )


seconds = st.integers(0, 4).map(lambda second: at("09:00") + second * SECOND)


@st.composite
def finished_jobs(draw: st.DrawFn) -> list[Job]:
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1))
    jobs = []
    for name in names:
        created = draw(seconds)
        started = draw(st.one_of(st.none(), st.just(created)))
        end = created + draw(st.integers(0, 3)) * SECOND
        finish = draw(st.sampled_from(["Complete", "Failed"]))
        jobs.append(replace(finished(name, ended="09:00", finish=finish), created=created, started=started, ended=end))
    return jobs


@given(finished_jobs())
def test_once_the_newest_end_is_told_none_is_left_to_tell(jobs: list[Job]) -> None:
    """Else the status would be written again and again."""
    newest = unrecorded(jobs, NOTHING)[-1]
    assert unrecorded(jobs, told(newest)) == []


@given(finished_jobs(), st.integers(0, 3), st.integers(0, 3))
def test_what_is_kept_is_within_the_limits_and_trimming_again_deletes_nothing(
    jobs: list[Job], succeeded: int, failed: int
) -> None:
    last = unrecorded(jobs, NOTHING)[-1]
    gone = trimmed(jobs, succeeded=succeeded, failed=failed, last=last)
    left = [job for job in jobs if job.name not in gone]
    assert len(set(gone)) == len(gone)
    assert sum(job.finished == "Complete" for job in left) <= succeeded
    assert sum(job.finished == "Failed" for job in left) <= failed
    assert trimmed(left, succeeded=succeeded, failed=failed, last=last) == []


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_without_jobs_nothing_is_deleted(limit: int) -> None:
    assert surplus([], succeeded_limit=limit, failed_limit=limit, status=NOTHING) == []
