"""Fixtures of the tests on the cluster: the operator, PostgreSQL, a database, a namespace."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.errors import DemoError
from demo.kubectl import Kubectl, connect
from demo.postgres import deploy
from tests.cluster import verbs
from tests.cluster.base_images import POSTGRES_TAG
from tests.cluster.errors import ClusterError
from tests.cluster.operator_image import TAG
from tests.e2e.controllers import Controller
from tests.e2e.databases import Database, Server
from tests.e2e.namespaces import Namespace
from tests.e2e.sharing import shared_release
from tests.e2e.waiting import until_objects
from tests.waiting import SECONDS
from trending.api.names import MANAGED_BY, MANAGED_BY_LABEL, PLURAL, SCHEDULE_LABEL

SAID = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """The cluster that `make cluster` brought up, with this checkout's images in its node."""
    try:
        kubectl = connect()
        verbs.load_image(TAG, POSTGRES_TAG)
    except ClusterError as error:
        pytest.fail(f"{error} (`make test-e2e` does all that is needed)", pytrace=False)
    return kubectl


@pytest.fixture(scope="session")
def controller(cluster: Kubectl, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Controller]:
    """The operator as the chart installs it.

    A release that is there, such as the demo's, is brought up to this checkout and stays, since two operators would
    both act on every schedule. Where there is none, one is installed and uninstalled again. Test processes side by
    side share one: the first brings it, the last takes it away.
    """
    together = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    with shared_release(cluster, together) as controller:
        yield controller


@pytest.fixture(scope="session")
def server(cluster: Kubectl, doomed: list[str], worker_id: str) -> Iterator[Server]:
    """A PostgreSQL of this test process's own, with the template of all databases."""
    name = f"e2e-postgres-{worker_id}"
    postgres = deploy(cluster, namespace=name)
    with postgres.forwarded() as uri:
        server = Server(postgres=postgres, password=postgres.password(), port=urlsplit(uri).port or 0)
        server.make_template()
        yield server
    cluster.run("delete", "namespace", name, "--wait=false")
    doomed.append(name)


@pytest.fixture
def database(server: Server) -> Database:
    """A database of the test's own."""
    return server.copy()


@pytest.fixture(scope="module")
def shared_database(server: Server) -> Database:
    """A database that the tests of a module share, each with a board of its own."""
    return server.copy()


@pytest.fixture(scope="session")
def doomed(cluster: Kubectl) -> Iterator[list[str]]:
    """Names of namespaces that are being deleted; in the end all have to be gone."""
    names: list[str] = []
    yield names
    if names:
        every = [f"namespace/{name}" for name in names]
        cluster.run("wait", "--for=delete", "--timeout=300s", *every, timeout=310)


@pytest.fixture
def namespace(controller: Controller, doomed: list[str], request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own; afterwards its schedules are deleted, and their Jobs and pods go with them."""
    with _fresh_namespace(controller.kubectl, request.node.name, doomed) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def shared_namespace(controller: Controller, doomed: list[str], request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace that the tests of a module share."""
    with _fresh_namespace(controller.kubectl, request.node.path.stem, doomed) as namespace:
        yield namespace


@contextmanager
def _fresh_namespace(kubectl: Kubectl, test: str, doomed: list[str]) -> Iterator[Namespace]:
    words = re.sub("[^a-z0-9]+", "-", test.lower().removeprefix("test_"))
    name = f"e2e-{words[:40].strip('-')}-{secrets.token_hex(2)}"
    kubectl.ensure_namespace(name)
    try:
        yield Namespace(kubectl=kubectl, name=name)
        delete_schedules(kubectl, name)
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false")
        doomed.append(name)


def delete_schedules(kubectl: Kubectl, namespace: str, *, seconds: float = SECONDS) -> None:
    """Delete all schedules of a namespace and wait until their Jobs and pods are gone too."""
    kubectl.run(
        f"--namespace={namespace}", "delete", PLURAL, "--all", f"--timeout={seconds:.0f}s", timeout=seconds + 10
    )
    for kind in ("jobs", "pods"):
        until_objects(
            kubectl,
            kind,
            lambda objects: not objects,
            what=f"the {kind} of deleted schedules are gone",
            namespace=namespace,
            selector=f"{MANAGED_BY_LABEL}={MANAGED_BY},{SCHEDULE_LABEL}",
            seconds=seconds,
        )


def _all_pods(kubectl: Kubectl) -> str:
    """What is broken where a test fails: the cluster itself, perhaps."""
    try:
        return kubectl.run("get", "pods", "--all-namespaces", "--output=wide")
    except DemoError as error:
        return str(error)


def _log_of(controller: Controller) -> str:
    """What the controller said last; a test that has it uninstalled may fail too."""
    try:
        return controller.logs()[-4000:]
    except DemoError as error:
        return str(error)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line at the end of the session, whether tests failed or not: times that were seen."""
    return request.config.stash.setdefault(SAID, []).append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what the tests of this process had to say to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["said"] = session.config.stash.get(SAID, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what the tests of another process had to say."""
    node.config.stash.setdefault(SAID, []).extend(getattr(node, "workeroutput", {}).get("said", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests had to say."""
    for line in config.stash.get(SAID, []):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, of a test that failed, what is in its namespace and what the controller said."""
    report = yield
    used = getattr(item, "funcargs", {})
    if report.failed and "cluster" in used:
        report.sections.append(("all pods", _all_pods(used["cluster"])))
    if report.failed and report.when == "call":
        for fixture in ("namespace", "shared_namespace"):
            if fixture in used:
                report.sections.append((f"the cluster: {used[fixture].name}", used[fixture].story()))
        if "controller" in used:
            report.sections.append(("the controller", _log_of(used["controller"])))
    return report
