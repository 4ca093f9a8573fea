"""What a run comes to: result, reason, sentence, exit code."""

from typing import Any

import psycopg
import pytest

from trending.api.status import Step
from trending.runner.conclusion import Problem, conclude
from trending.runner.failure import BadDataError, ConfigurationError, RunError, UnreachableError, doing, from_driver
from trending.runner.redact import Redactor
from trending.runner.stop import DeadlineError, StoppedError


def rewrite(name: str, **fields: Any) -> Step:
    counts = {"rows_inserted": 0, "rows_updated": 0, "rows_deleted": 0, "rows_unchanged": 0}
    return Step(name=name, action="Rewrite", seconds=1, **(counts | fields))


def test_success_says_what_was_done() -> None:
    view = Step(name="v", action="Refresh", seconds=1)
    steps = [view, rewrite("a", rows_inserted=1, rows_unchanged=5), rewrite("b", rows_deleted=2)]
    conclusion = conclude(steps, [], [])
    assert (conclusion.result, conclusion.reason, conclusion.exit_code) == ("Succeeded", "RunSucceeded", 0)
    assert conclusion.message == "refreshed 1 view; rewrote 2 targets: 1 row inserted, 2 rows deleted, 5 unchanged"


def test_nothing_changed_is_a_success() -> None:
    assert "no row had changed, 3 unchanged" in conclude([rewrite("a", rows_unchanged=3)], [], []).message


def test_a_run_is_superseded_only_where_every_target_is() -> None:
    steps = [rewrite("a"), rewrite("b")]
    assert conclude(steps, [], ["a", "b"]).result == "Superseded"
    assert conclude(steps, [], ["a", "b"]).exit_code == 0
    partly = conclude(steps, [], ["b"])
    assert partly.result == "Succeeded"
    assert "superseded by newer data: b" in partly.message


def test_targets_that_were_not_due_are_named() -> None:
    left_out = Step(name="b", action="Rewrite", note="not due before 9")
    assert conclude([rewrite("a"), left_out], [], []).message.endswith("; not due: b")
    assert conclude([left_out], [], []).message == "nothing was to be done: b is not due before 9"
    assert conclude([rewrite("a"), left_out], [], ["a"]).result == "Superseded", "of those that were due, all"


@pytest.mark.parametrize(
    ("errors", "reason", "code"),
    [
        ([ConfigurationError("x")], "ConfigurationError", 2),
        ([BadDataError("x")], "RunFailed", 2),
        ([UnreachableError("x")], "ConnectionError", 1),
        ([ConfigurationError("x"), BadDataError("y")], "ConfigurationError", 2),
        ([ConfigurationError("x"), UnreachableError("y")], "ConnectionError", 1),
        ([BadDataError("x"), RunError("y")], "RunFailed", 1),
        ([BadDataError("x"), StoppedError("y")], "RunFailed", 1),
    ],
)
def test_one_failure_that_may_pass_is_worth_another_attempt(errors: list[RunError], reason: str, code: int) -> None:
    conclusion = conclude([], [Problem(f"target t{at}", error) for at, error in enumerate(errors)], [])
    assert (conclusion.result, conclusion.reason, conclusion.exit_code) == ("Failed", reason, code)
    assert all(f"target t{at}: {error}" in conclusion.message for at, error in enumerate(errors))


def test_the_deadline_is_told_as_such() -> None:
    conclusion = conclude([], [Problem("target a", DeadlineError("time was over"))], [])
    assert (conclusion.result, conclusion.reason, conclusion.exit_code) == ("DeadlineExceeded", "DeadlineExceeded", 1)


@pytest.mark.parametrize(
    ("state", "kind", "retry"),
    [
        ("08006", UnreachableError, True),
        ("57P01", UnreachableError, True),
        ("57014", RunError, True),
        ("40001", RunError, True),
        ("40P01", RunError, True),
        ("53100", RunError, True),
        ("25006", RunError, True),
        ("55P03", RunError, True),
        ("XX000", RunError, True),
        ("42P01", ConfigurationError, False),
        ("42501", ConfigurationError, False),
        ("21000", BadDataError, False),
        ("22012", BadDataError, False),
        ("23505", BadDataError, False),
    ],
)
def test_a_sqlstate_tells_whether_trying_again_may_help(state: str, kind: type[RunError], retry: bool) -> None:
    error = from_driver(psycopg.errors.lookup(state)("text"), Redactor(""))
    assert type(error) is kind
    assert error.retry is retry
    assert f"(SQLSTATE {state})" in str(error)


def test_an_operational_error_without_a_sqlstate_is_a_lost_connection() -> None:
    assert type(from_driver(psycopg.OperationalError("gone"), Redactor(""))) is UnreachableError


def test_a_sentence_begins_with_the_innermost_thing_that_was_done() -> None:
    with pytest.raises(psycopg.Error) as caught, doing("outer"), doing("inner"):
        raise psycopg.errors.UndefinedTable("no table")
    assert str(from_driver(caught.value, Redactor(""))) == "inner: no table (SQLSTATE 42P01)"
