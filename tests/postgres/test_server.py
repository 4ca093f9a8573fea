"""What the other tests rely on: the server under test is real, private and leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.postgres.server import CERTIFIED, Database

ROOT = Path(__file__).parents[2]


def test_the_server_has_the_version_asked_for_and_the_owner_is_no_superuser(
    database: Database, pytestconfig: pytest.Config
) -> None:
    asked_for = pytestconfig.getoption("--postgres")
    assert database.execute("SELECT current_setting('server_version_num')::int / 10000") == [(asked_for,)]
    assert database.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]


def test_the_uri_reaches_the_database_with_its_password_and_not_with_another(database: Database) -> None:
    with psycopg.connect(database.uri) as connection:
        assert connection.info.dbname == database.name
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(database.uri.replace("p%40ss", "wrong"))


def test_a_client_can_check_who_the_server_is(database_with_tls: Database) -> None:
    uri = database_with_tls.uri
    folder = database_with_tls.server.certificates
    with psycopg.connect(uri, sslmode="verify-full", sslrootcert=str(folder / "ca.crt")) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall() == [(True,)]
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(uri, sslmode="verify-full", sslrootcert=str(folder / "other-ca.crt"))


def test_a_role_with_a_certificate_gets_in_by_that_only(database_with_tls: Database) -> None:
    server = database_with_tls.server
    folder = server.certificates
    uri = f"postgresql://{CERTIFIED}@127.0.0.1:{server.port}/{database_with_tls.name}"
    certificate, key = str(folder / "client.crt"), str(folder / "client.key")
    with psycopg.connect(uri, sslmode="require", sslcert=certificate, sslkey=key) as connection:
        assert connection.execute("SELECT current_user").fetchall() == [(CERTIFIED,)]
    with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
        psycopg.connect(uri, sslmode="require")


def test_the_log_tells_of_a_session_that_waited_for_a_lock(database: Database) -> None:
    database.execute("CREATE TABLE contended (n int)")
    with database.connect() as holder, database.connect() as waiter:
        holder.execute("LOCK TABLE contended")
        thread = threading.Thread(target=waiter.execute, args=("SELECT * FROM contended",))
        thread.start()
        with database.connect(autocommit=True) as observer:
            observer.execute("SET statement_timeout = '10s'")
            while "still waiting for AccessShareLock" not in database.log():
                observer.execute("SELECT pg_sleep(0.05)")
        holder.rollback()
        thread.join()


def test_databases_are_apart(database: Database, server_log_marker: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        database.execute("SELECT * FROM contended")
    assert server_log_marker not in database.log()


@pytest.fixture
def server_log_marker(database: Database) -> str:
    """A word that another database's session has put into the log."""
    marker = f"marker_{database.name}"
    with database.server.database() as other, pytest.raises(psycopg.errors.UndefinedTable):
        other.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(marker)))
    return marker


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_server_is_stopped_and_removed_when_its_tests_are(end: signal.Signals, pytestconfig: pytest.Config) -> None:
    script = (
        "from tests.postgres.server import running_server\n"
        f"with running_server({pytestconfig.getoption('--postgres')}) as server:\n"
        "    print(server.folder, server.port, flush=True)\n"
        "    input()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    folder, port = process.stdout.readline().split()
    # The guard outlives its tests by a moment; it holds the standard error until it is done.
    process.send_signal(end)
    process.communicate(timeout=60)
    assert not Path(folder).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
