"""A run that fails: the schedule says why in one sentence, no part of a password gets out, and the others go on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.e2e.controllers import Controller
from tests.e2e.databases import Database, Server
from tests.e2e.namespaces import Namespace, condition_of
from tests.e2e.schedules import preset_target, query_target, schedule
from tests.e2e.waiting import Object

GUEST: Final = f"e2e_guest_{os.getpid()}"
PASSWORD: Final = "Zq7wKx@Vb3nLp/Rt9xQe%yHc4Tz:Mükf2WbN#Jd8sGv"
WRONG: Final = "Bw5mUe@Xk2jFa/Nc6pDv%Ls8hQy:Göri9TzE#Pe3uKm"


@dataclass(frozen=True)
class Place:
    """Where a URI leads to."""

    host: str
    port: int = 5432
    database: str = ""
    password: str = PASSWORD

    def uri(self, database: Database) -> str:
        name = self.database or database.name
        return f"postgresql://{GUEST}:{quote(self.password, safe='')}@{self.host}:{self.port}/{name}"


@dataclass(frozen=True)
class Failure:
    """A schedule whose run fails, and what is to be said of it."""

    reason: str
    words: str
    """A pattern of the sentence; NAMESPACE, DATABASE and HOST are put in."""
    uri: Callable[[Place, Database], str] | None = lambda place, database: place.uri(database)
    """What its Secret holds; None for one that is not there."""
    target: dict[str, Any] | None = None
    spec: dict[str, Any] | None = None


def elsewhere(**changes: Any) -> Callable[[Place, Database], str]:
    return lambda place, database: Place(**{"host": place.host, **changes}).uri(database)


FAILURES: Final = {
    "missing-secret": Failure(
        "ConfigurationError",
        "Secret missing-secret with key uri does not exist in namespace NAMESPACE: create it, or correct the names in ",
        uri=None,
    ),
    "missing-key": Failure(
        "ConfigurationError",
        "Secret missing-key with key url does not exist in namespace NAMESPACE: create it, or correct the names in ",
        spec={"database": {"secretKeyRef": {"name": "missing-key", "key": "url"}}},
    ),
    "no-uri": Failure(
        "ConfigurationError",
        "key uri of Secret no-uri is no connection URI: write postgresql://user:password@host:5432/database",
        uri=lambda place, _: f"postgresql://{GUEST}:{PASSWORD}@{place.host}/x",
    ),
    "wrong-password": Failure(
        "ConnectionError",
        "cannot connect to database DATABASE at HOST:5432 as user .* \\(key uri of Secret wrong-password\\): .*"
        "password authentication failed for user",
        uri=elsewhere(password=WRONG),
        spec={"backoffLimit": 1},
    ),
    "wrong-host": Failure(
        "ConnectionError",
        "cannot connect to database DATABASE at nowhere.invalid:5432 as user .*",
        uri=elsewhere(host="nowhere.invalid"),
    ),
    "wrong-port": Failure(
        "ConnectionError",
        "cannot connect to database DATABASE at localhost:5433 as user .*refused",
        uri=elsewhere(host="localhost", port=5433),
    ),
    "wrong-database": Failure(
        "ConnectionError",
        'cannot connect to database nothing at HOST:5432 .*database "nothing" does not exist',
        uri=elsewhere(database="nothing"),
    ),
    "missing-ledger": Failure(
        "ConfigurationError",
        "database postgres at HOST:5432 has no ledger \\(schema trending\\): run `trending migrate` on it once",
        uri=elsewhere(database="postgres"),
    ),
    "missing-table": Failure(
        "ConfigurationError",
        "target main: spec.rewrite\\[0\\].*no table nowhere",
        target=query_target() | {"table": "nowhere"},
    ),
    "missing-view": Failure(
        "ConfigurationError",
        "materialized view absent_view: spec.refresh\\[0\\]: there is no materialized view absent_view in database "
        "DATABASE for user .*: create it, or correct the name",
        spec={"refresh": [{"materializedView": "absent_view"}]},
    ),
    "failing-sql": Failure(
        "RunFailed",
        "target main: spec.rewrite\\[0\\].query: division by zero \\(SQLSTATE 22012\\)",
        target=query_target("SELECT 'a' AS item, 1 / (CASE WHEN :now > '2000-01-01' THEN 0 END) AS score"),
    ),
    "bad-sql": Failure(
        "ConfigurationError",
        "target main: spec.rewrite\\[0\\].query: .*syntax error at or near .*\\(SQLSTATE 42601\\)",
        target=query_target("SELECT 'a' AS item 1 AS score"),
    ),
    "unpopulated-view": Failure(
        "RunFailed",
        "target tracks: .*has not been populated",
        target=preset_target("tracks", "week"),
    ),
}


@dataclass(frozen=True)
class Failed:
    namespace: Namespace
    database: Database
    statuses: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def failed(shared_namespace: Namespace, shared_database: Database, server: Server) -> Failed:
    """All of them side by side, each with a Secret of its own; they are looked at when each has run once."""
    server.administrate(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{PASSWORD}' IN ROLE discovery")
    place = Place(server.postgres.host)
    for name, failure in FAILURES.items():
        if failure.uri:
            shared_namespace.create_secret(failure.uri(place, shared_database), name=name)
    shared_namespace.apply(
        *(
            schedule(
                failure.target or query_target(),
                name=name,
                **{
                    "backoffLimit": 0,
                    "database": {"secretKeyRef": {"name": name, "key": "uri"}},
                    **(failure.spec or {}),
                },
            )
            for name, failure in FAILURES.items()
        )
    )
    statuses = {name: shared_namespace.until_run_ended(name) for name in FAILURES}
    return Failed(shared_namespace, shared_database, statuses)


@pytest.mark.parametrize("name", FAILURES)
def test_the_schedule_says_what_failed_in_one_sentence(failed: Failed, name: str) -> None:
    """In the status, in condition Succeeded, and in an event that is sent once."""
    status, failure = failed.statuses[name], FAILURES[name]
    last, condition = status["lastRun"], condition_of(status, "Succeeded")
    pattern = failure.words.replace("NAMESPACE", failed.namespace.name).replace("DATABASE", failed.database.name)
    pattern = pattern.replace("HOST", failed.database.server.postgres.host)
    assert re.search(pattern, last["message"]), last["message"]
    assert "\n" not in last["message"]
    assert (last["result"], last["reason"]) == ("Failed", failure.reason)
    assert (condition["status"], condition["reason"]) == ("False", failure.reason)
    assert condition["message"] == last["message"]
    (event,) = failed.namespace.events(name, "RunFailed")
    assert (event["type"], event["count"]) == ("Warning", 1)
    assert event["message"] == f"Job {last['job']}: {last['message']}"[:1024]
    assert (status["consecutiveFailures"], status["lastFailureTime"]) == (1, last["completionTime"])
    fresh = condition_of(status, "Fresh")
    assert (fresh["status"], fresh["reason"]) == ("False", "NeverSucceeded")


def test_what_may_pass_is_tried_again_and_what_will_not_is_not(failed: Failed) -> None:
    assert failed.statuses["wrong-password"]["lastRun"]["attempts"] == 2
    failed.namespace.patch("missing-table", '{"spec": {"backoffLimit": 3}}')
    again = failed.namespace.run_by_hand("missing-table")
    assert again["lastRun"]["reason"] == "ConfigurationError"
    assert len(failed.namespace.pods(job=again["lastRun"]["job"])) == 1


def test_other_schedules_go_on(failed: Failed) -> None:
    failed.namespace.create_secret(failed.database.uri, name="good")
    good = {"secretKeyRef": {"name": "good", "key": "uri"}}
    failed.namespace.apply(schedule(query_target(board="good"), name="good", database=good))
    status = failed.namespace.until_run_ended("good")
    assert (status["lastRun"]["result"], condition_of(status, "Fresh")["status"]) == ("Succeeded", "True")


def test_a_failure_is_over_once_its_cause_is_gone(failed: Failed) -> None:
    """Also that the guest's password is right, and that a run with it can succeed."""
    failed.namespace.create_secret(
        Place(failed.database.server.postgres.host).uri(failed.database), name="missing-secret"
    )
    status = failed.namespace.run_by_hand("missing-secret")
    assert (status["lastRun"]["result"], status["consecutiveFailures"]) == ("Succeeded", 0)
    assert condition_of(status, "Succeeded")["status"] == "True"


def test_no_part_of_a_password_is_in_any_object_event_or_log(failed: Failed, controller: Controller) -> None:
    """Raw, percent-encoded in either case, or in parts."""
    told = failed.namespace.everything() + controller.logs() + failed.namespace.run("get", "all", "--output=yaml")
    assert FAILURES.keys() <= {str(each["metadata"]["name"]) for each in schedules(failed)}
    for password in (PASSWORD, WRONG, failed.database.server.password):
        encoded = quote(password, safe="")
        parts = [part for part in re.split("[^A-Za-z0-9]+", password) if len(part) > 4]
        for secret in (password, encoded, encoded.lower(), *parts):
            assert secret not in told


def schedules(failed: Failed) -> list[Object]:
    return failed.namespace.kubectl.list("trendingschedules", namespace=failed.namespace.name)
