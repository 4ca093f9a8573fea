"""Settings of all unit tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.unit.api_server import ApiServer, write_kubeconfig
from tests.unit.kube import schedule_body

# A machine that does other things too is no reason for a test to fail.
settings.register_profile("unit", deadline=None, print_blob=True)
settings.load_profile("unit")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server with a schedule `hourly`, to which $KUBECONFIG leads."""
    server = ApiServer()
    server.schedules.append(schedule_body())
    with server.running() as address:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", address)))
        yield server
