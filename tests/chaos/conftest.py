"""Fixtures of the tests on a control plane alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.errors import ClusterError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a person ask for more than CI has time for."""
    parser.addoption("--random-resources", type=int, default=300, help="how many random resources are applied")


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane of a module's own: what its tests do to it they undo."""
    try:
        with control_plane() as started:
            yield started
    except ClusterError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def bare() -> Iterator[ControlPlane]:
    """An API server without any controller of Kubernetes' own: Jobs stay as a test leaves them.

    It is shared by tests that keep to namespaces of theirs.
    """
    try:
        with control_plane(controllers=()) as started:
            yield started
    except ClusterError as error:
        pytest.fail(str(error), pytrace=False)
