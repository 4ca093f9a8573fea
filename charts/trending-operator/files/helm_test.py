"""What `helm test` runs, in a pod of the operator's image: does the release do what it was installed for?

It asks the controller for health and metrics through the Service, and creates a schedule, which the controller has to
accept. With a database, the schedule really runs: it rewrites a table that is made for it. All that is made is removed
again.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, LiteralString

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DATABASE: Final = Path("/database")
TABLE: Final = "trending_helm_test"
MAKE_TABLE: Final = """
    DROP TABLE IF EXISTS trending_helm_test;
    CREATE TABLE trending_helm_test (id text PRIMARY KEY, score float8);
"""
DROP_TABLE: Final = "DROP TABLE trending_helm_test"
FORGET_TABLE: Final = """
    DELETE FROM trending.freshness WHERE table_name = (
        SELECT format('%I.%I', relnamespace::regnamespace, relname)
        FROM pg_class WHERE oid = 'trending_helm_test'::regclass
    )
"""
QUERY: Final = "SELECT 'tested' AS id, 42::float8 AS score"
PAUSE_SECONDS: Final = 0.5
NOT_FOUND: Final = 404


class TestFailedError(Exception):
    """The release does not do what it should; the text says what, and where to look."""

    __test__ = False


class ApiServer:
    """The schedules of one namespace, as the pod's own account may work with them."""

    def __init__(self, namespace: str) -> None:
        """Speak to the API server that every pod can reach."""
        self._url = f"https://kubernetes.default.svc/apis/trending.dev/v1/namespaces/{namespace}/trendingschedules"
        self._tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))

    def create(self, schedule: dict[str, Any]) -> None:
        """Create a schedule; raises TestFailedError with what the API server has against it."""
        self._ask("POST", self._url, schedule)

    def status(self, name: str) -> dict[str, Any]:
        """Return a schedule's status; empty where it has none yet."""
        status: dict[str, Any] = self._ask("GET", f"{self._url}/{name}").get("status", {})
        return status

    def delete(self, name: str) -> None:
        """Delete a schedule and wait until its Jobs are gone too; nothing happens where there is none."""
        if self._ask("DELETE", f"{self._url}/{name}?propagationPolicy=Foreground"):
            until(lambda: not self._ask("GET", f"{self._url}/{name}"), seconds=60, what=f"{name} was deleted")

    def _ask(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer; empty where the object is not there."""
        request = urllib.request.Request(url, method=method)  # noqa: S310 (the API server's own URL)
        # read anew each time, since the kubelet changes it
        request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text(encoding='utf-8').strip()}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=30) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND and method != "POST":
                return {}
            raise TestFailedError(f"the API server refused {method}: {_said(error)}") from None
        except OSError as error:
            raise TestFailedError(f"the API server does not answer: {error}") from None


def until(condition: Callable[[], bool], *, seconds: float, what: str, look: Callable[[], str] = str) -> None:
    """Ask until it is so; raises TestFailedError, which says where to look."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TestFailedError(f"{what}: this did not come about within {seconds:.0f} s. {look()}")
        time.sleep(PAUSE_SECONDS)


def fetch(url: str) -> str:
    """Return what the controller answers; raises TestFailedError."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 (built from the chart's own names)
            text: str = response.read().decode()
            return text
    except OSError as error:
        raise TestFailedError(
            f"{url}: {error}. Is the controller ready, and let the network policies through?"
        ) from None


def manifest(name: str, *, secret: str, key: str, pull_secrets: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    """Return the schedule: with a Secret one that runs at once and never again, without one that is suspended."""
    return {
        "apiVersion": "trending.dev/v1",
        "kind": "TrendingSchedule",
        "metadata": {"name": name},
        "spec": {
            "schedule": "0 0 29 2 *",
            "immediate": bool(secret),
            "suspend": not secret,
            "backoffLimit": 0,
            "activeDeadlineSeconds": 120,
            "database": {"secretKeyRef": {"name": secret or "none", "key": key}},
            "rewrite": [{"name": "test", "table": TABLE, "slice": {}, "key": ["id"], "query": QUERY}],
            "template": {"spec": {"imagePullSecrets": list(pull_secrets)}},
        },
    }


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a condition of a status; empty where it has none of that type."""
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def wait_until_accepted(api: ApiServer, name: str) -> None:
    """Wait until the controller has accepted the schedule."""
    what, look = f"a controller looks at {name}", lambda: "Does one lead that watches this namespace? Its log says so."
    until(lambda: bool(condition(api.status(name), "Accepted")), seconds=60, what=what, look=look)
    accepted = condition(api.status(name), "Accepted")
    if accepted["status"] != "True":
        raise TestFailedError(f"{name} was not accepted: {accepted['message']}")


def wait_until_run(api: ApiServer, name: str, *, seconds: float) -> dict[str, Any]:
    """Wait until the schedule's run has ended; return how it went."""

    def progress() -> str:
        return str(condition(api.status(name), "Progressing").get("message", "No controller has looked at it."))

    until(lambda: "lastRun" in api.status(name), seconds=seconds, what=f"the run of {name} ends", look=progress)
    last: dict[str, Any] = api.status(name)["lastRun"]
    if last["result"] != "Succeeded":
        raise TestFailedError(f"the run ended as {last['result']}: {last.get('message', 'no message')}")
    return last


class Database:
    """The table that the schedule is to rewrite; it is there for the while of the block."""

    def __init__(self, key: str) -> None:
        """Read the URI from where the Secret is mounted."""
        self._uri = (DATABASE / key).read_text(encoding="utf-8").strip()

    def __enter__(self) -> None:
        """Make the table anew."""
        self._run(MAKE_TABLE)

    def __exit__(self, *_: object) -> None:
        """Drop the table, and what the ledger knows of it where the role may: runs themselves delete nothing there."""
        self._run(FORGET_TABLE, may_be_refused=True)
        self._run(DROP_TABLE)

    def _run(self, statements: LiteralString, *, may_be_refused: bool = False) -> None:
        import psycopg

        try:
            with psycopg.connect(self._uri, connect_timeout=10) as connection:
                connection.execute(statements)
        except psycopg.Error as error:
            if may_be_refused and isinstance(error, psycopg.errors.InsufficientPrivilege):
                return
            # The driver's own text may quote the password.
            state = f"SQLSTATE {error.sqlstate}" if error.sqlstate else "no connection"
            raise TestFailedError(
                f"the table {TABLE} cannot be made or dropped ({state}). Is the URI right, was the database prepared by"
                " `trending migrate`, and may its role make a table?"
            ) from None


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError):
        return str(error)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main() -> None:
    """Test the release; raises TestFailedError."""
    environment = os.environ
    host, name, secret = (environment[each] for each in ("TEST_HOST", "TEST_SCHEDULE", "TEST_SECRET"))
    key, pull_secrets = environment["TEST_SECRET_KEY"], json.loads(environment["TEST_PULL_SECRETS"])
    fetch(f"http://{host}:8080/readyz")
    say("The controller is ready.")
    count = sum(line.startswith("trending_") for line in fetch(f"http://{host}:8081/metrics").splitlines())
    say(f"It gives metrics: {count} of its own.")

    api = ApiServer(environment["TEST_NAMESPACE"])
    database: AbstractContextManager[None] = Database(key) if secret else nullcontext()
    api.delete(name)
    with database:
        try:
            api.create(manifest(name, secret=secret, key=key, pull_secrets=pull_secrets))
            wait_until_accepted(api, name)
            say("It has accepted a schedule.")
            if secret:
                last = wait_until_run(api, name, seconds=float(environment["TEST_SECONDS"]))
                say(f"A run has succeeded: {last['job']} changed {last['rowsChanged']} row in {last['duration']}.")
            else:
                say("No run was tried: test.database.secretName is not set.")
        finally:
            api.delete(name)


if __name__ == "__main__":
    try:
        main()
    except TestFailedError as error:
        sys.exit(f"The test has failed: {error}")
