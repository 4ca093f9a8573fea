"""Runs that take nearly as long as the time between slots are told, by the median of the last five."""

import pytest

from tests.unit.schedules import at, schedule
from trending.schedule.cadence import Cadence, judge_cadence


def judged(*minutes: float, expression: str = "0 * * * *") -> Cadence:
    spec = schedule(schedule=expression).spec
    cadence = judge_cadence([round(each * 60) for each in minutes], spec, since=at("08:30"))
    assert cadence is not None
    return cadence


@pytest.mark.parametrize(
    ("minutes", "at_risk"),
    [
        pytest.param([48], False, id="80 % is not over it"),
        pytest.param([48.1], True, id="one run counts where there is one"),
        pytest.param([5, 50, 49, 3, 51], True, id="the median, whatever two of five did"),
        pytest.param([5, 50, 4, 3, 51], False, id="nor is it by two of five"),
        pytest.param([50, 50, 50, 5, 5, 5, 50, 50], False, id="older ones than the last five do not count"),
        pytest.param([40, 57], True, id="of two the mean"),
        pytest.param([75, 75, 75], True, id="longer than the interval"),
    ],
)
def test_a_cadence_is_at_risk_where_the_median_is_over_four_fifths_of_the_interval(
    minutes: list[float], at_risk: bool
) -> None:
    cadence = judged(*minutes)
    assert (cadence.at_risk, cadence.reason) == (at_risk, "NearInterval" if at_risk else "WithinInterval")


def test_the_interval_is_the_shortest_between_slots() -> None:
    assert judged(9, expression="0,10 * * * *").at_risk
    assert not judged(9, expression="0,20 * * * *").at_risk


def test_the_sentence_says_how_long_and_what_to_do() -> None:
    told = judged(55, 55, 54).message
    assert told.startswith("The median of the last 3 runs took 55m, over 80 % of the 1h between slots: ")
    assert told.endswith("status.lastRun.steps tells what takes how long; make that quicker, or the schedule slower.")
    assert judged(3).message == "The last run took 3m, of the 1h between slots."


def test_before_any_run_nothing_is_said() -> None:
    assert judge_cadence([], schedule().spec, since=at("08:30")) is None
