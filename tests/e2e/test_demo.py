"""The demo, as `make demo` runs it, and what it is made of."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from demo import release, sample
from demo.examples import EXAMPLES, apply_until_succeeded, example_names
from demo.kubectl import Kubectl
from demo.postgres import ADMINISTRATOR, NAMESPACE, Postgres, deploy
from demo.runs import last_job
from documents.blocks import blocks_of, documents
from documents.execution import execute, write_file
from tests.cluster.folders import REPOSITORY
from tests.e2e.controllers import Controller
from trending.api.names import PLURAL

pytestmark = pytest.mark.alone

SMALL: Final = ("--tracks=500", "--plays=20000")
"""Where no demo is there yet; one that is keeps its data."""
ALL: Final = {path: blocks_of(path) for path in documents()}
PAGES: Final = {path: blocks for path, blocks in ALL.items() if any(block.is_for_the_cluster for block in blocks)}


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; each of its phases has a deadline of its own."""
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=1800, check=False)


@pytest.fixture(scope="module")
def demo_namespace(cluster: Kubectl, controller: Controller) -> Iterator[str]:
    """Whatever the demo leaves in its namespace goes again, unless it was there before."""
    ours = (controller.namespace, controller.release)
    assert ours == (release.NAMESPACE, release.RELEASE), "the demo would install a second operator"
    there = cluster.get("namespace", NAMESPACE) is not None
    yield NAMESPACE
    if not there:
        cluster.run(f"--namespace={NAMESPACE}", "delete", PLURAL, "--all", "--timeout=180s", timeout=190)
        cluster.run("delete", "namespace", NAMESPACE, "--timeout=300s", timeout=310)


@pytest.fixture(scope="module")
def shown(demo_namespace: str) -> str:
    """What the demo prints where there is no terminal."""
    done = run_demo(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"namespace {demo_namespace}" in done.stdout
    return done.stdout


def test_the_demo_ends_with_a_ranking_the_times_and_how_to_go_on(shown: str) -> None:
    ranked = re.findall(r"^ *(\d+) +\S.* ([\d.]+)$", shown[shown.index("The top ten") :], re.MULTILINE)
    scores = [float(score) for rank, score in ranked[:10]]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0
    for name in example_names(EXAMPLES):
        assert re.search(rf"^{name} .*\bTrue\b.*\bSucceeded\b", shown, re.MULTILINE)
    for word in ("Where the time went", "In all", "How to go on", "make cluster-down"):
        assert word in shown


def test_the_demo_prints_plain_lines_where_there_is_no_terminal(shown: str) -> None:
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_the_password_is_neither_printed_nor_logged(shown: str, cluster: Kubectl) -> None:
    postgres = Postgres(kubectl=cluster)
    assert postgres.password() not in shown
    assert postgres.password() not in postgres.log()


@pytest.mark.usefixtures("shown")
def test_a_second_demo_changes_nothing_and_is_quick(cluster: Kubectl, say: Callable[[str], None]) -> None:
    def state() -> dict[str, tuple[str, str]]:
        return {
            schedule["metadata"]["name"]: (schedule["metadata"]["uid"], str(schedule["metadata"]["generation"]))
            for schedule in cluster.list(PLURAL, namespace=NAMESPACE)
        }

    before, server = state(), pod_uid(cluster)
    start = time.monotonic()
    done = run_demo(*SMALL)
    say(f"a second demo took {time.monotonic() - start:.0f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert state() == before
    assert pod_uid(cluster) == server
    assert "there already:" in done.stdout


def pod_uid(cluster: Kubectl) -> str:
    pod = cluster.get("pod", "postgres-0", namespace=NAMESPACE)
    return str(pod["metadata"]["uid"]) if pod else ""


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_a_document_has_for_a_cluster_work_where_the_demo_is_up(
    cluster: Kubectl, page: str, tmp_path: Path
) -> None:
    for name in ("demo", "manifests"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    environment = cluster.environment()
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    for block in PAGES[page]:
        write_file(block, tmp_path)
        if block.is_for_the_cluster:
            execute(block, tmp_path, environment)


@pytest.mark.usefixtures("shown")
def test_a_run_that_failed_is_run_again_by_the_next_demo(cluster: Kubectl) -> None:
    postgres = Postgres(kubectl=cluster)
    postgres.psql("ALTER TABLE genre_scores RENAME TO genre_scores_away")
    try:
        cluster.run(
            f"--namespace={NAMESPACE}",
            "annotate",
            PLURAL,
            "genres",
            "--overwrite",
            f"trending.dev/requestedAt={secrets.token_hex(4)}",
        )
        before = wait_for_result(cluster, "genres", "Failed")
    finally:
        postgres.psql("ALTER TABLE genre_scores_away RENAME TO genre_scores")
    after = apply_until_succeeded(cluster)
    assert after["genres"]["status"]["lastRun"]["result"] == "Succeeded"
    assert last_job(after["genres"]) != before


def wait_for_result(cluster: Kubectl, name: str, result: str) -> str:
    deadline = time.monotonic() + 120
    for schedule in cluster.watch(PLURAL, namespace=NAMESPACE, name=name, tick=5):
        last = (schedule or {}).get("status", {}).get("lastRun", {})
        if last.get("result") == result:
            return str(last["job"])
        assert time.monotonic() < deadline, f"no run of {name} ended as {result}"
    raise AssertionError("a watch goes on until it is left")


def _heed_ctrl_c() -> None:
    """What a shell starts in the background ignores SIGINT, and hands that on to all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.usefixtures("shown")
def test_ctrl_c_leaves_what_was_made_and_says_how_to_go_on() -> None:
    """The signal goes to the whole foreground group, as a terminal sends it."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo", *SMALL],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=_heed_ctrl_c,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("== PostgreSQL"):
                os.killpg(process.pid, signal.SIGINT)
                break
        said += process.stdout.readlines()
    assert process.returncode == 130
    assert "Stopped at: PostgreSQL." in "".join(said)
    assert "`make demo` goes on from here" in "".join(said)
    assert "Traceback" not in "".join(said)


@pytest.fixture
def fresh_database(cluster: Kubectl, demo_namespace: str) -> Iterator[tuple[Postgres, str]]:
    postgres = deploy(cluster, namespace=demo_namespace)
    name = f"demo_{secrets.token_hex(3)}"
    postgres.create_database(name)
    yield postgres, name
    postgres.drop_database(name)


def test_sample_data_come_whole_or_not_at_all(fresh_database: tuple[Postgres, str]) -> None:
    postgres, database = fresh_database

    def cut_off(table: str) -> None:
        if table == "plays":
            ended = postgres.psql(
                f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                f"WHERE datname = '{database}' AND pid <> pg_backend_pid()",
                database="postgres",
                role=ADMINISTRATOR,
            )
            assert ended.strip() == "1"

    with pytest.raises(Exception, match="The sample data could not be loaded"):
        sample.load_sample(postgres, tracks=2000, plays=200_000, database=database, tell=cut_off)
    assert postgres.psql("SELECT to_regclass('users') IS NULL", database=database).strip() == "t"

    assert sample.load_sample(postgres, tracks=100, plays=2000, database=database)
    assert sample.count_rows(postgres, database=database) == {"tracks": 100, "plays": 2000}
    assert not sample.load_sample(postgres, tracks=100, plays=2000, database=database)


@pytest.mark.usefixtures("shown")
def test_a_new_secret_is_a_new_password_for_the_same_data(cluster: Kubectl) -> None:
    postgres = Postgres(kubectl=cluster)
    before = sample.count_rows(postgres)
    old = postgres.password()
    cluster.run(f"--namespace={NAMESPACE}", "delete", "secret", "discovery-db")
    deploy(cluster)
    assert postgres.password() != old
    uri = "postgresql://discovery@127.0.0.1/discovery"
    script = "PGPASSWORD=$(cat /etc/postgres-password/password) psql --no-psqlrc --tuples-only --no-align"
    inside = [
        f"--namespace={NAMESPACE}",
        "exec",
        "postgres-0",
        "--",
        "sh",
        "-c",
        f"{script} --command='SELECT 1' {uri}",
    ]
    assert cluster.run(*inside).strip() == "1"
    assert sample.count_rows(postgres) == before
