"""Completion: kubectl's question answered, names from the cluster, and nothing in the way of who types."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.plugin import call
from trending.cli.kubectl.completion import answer

Calls = Callable[[], list[str]]


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A kubectl that knows three schedules, two namespaces and a context, and tells how it was called."""
    program, calls = tmp_path / "kubectl", tmp_path / "calls"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {calls}
case "$2" in
trendingschedules.trending.dev) printf 'trendingschedule.trending.dev/%s\\n' hourly hourly-eu daily ;;
namespaces) printf 'namespace/%s\\n' discovery default ;;
get-contexts) echo kind-trending ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return lambda: calls.read_text().splitlines() if calls.exists() else []


def test_kubectl_gets_commands_with_what_they_do_and_is_told_to_offer_no_files() -> None:
    assert answer([], "su") == ["suspend\tStart no further runs by schedule; an active one goes on.", ":4"]


def test_names_of_schedules_are_those_of_the_namespace_that_is_already_typed(kubectl: Calls) -> None:
    assert answer(["status"], "hour") == ["hourly", "hourly-eu", ":4"]
    assert answer(["-n", "discovery", "status", "--context=here"], "") == ["hourly", "hourly-eu", "daily", ":4"]
    assert kubectl() == [
        "get trendingschedules.trending.dev --output=name --request-timeout=3s",
        "get trendingschedules.trending.dev --output=name --request-timeout=3s --namespace=discovery --context=here",
    ]


@pytest.mark.usefixtures("kubectl")
@pytest.mark.parametrize(
    "command", ["run", "suspend", "resume", "status", "history", "explain", "logs", "plan", "migrate"]
)
def test_every_command_about_a_schedule_completes_its_name(command: str) -> None:
    assert answer([command], "d") == ["daily", ":4"]


@pytest.mark.usefixtures("kubectl")
def test_namespaces_contexts_and_formats_are_completed() -> None:
    assert answer(["status", "hourly", "-n"], "di") == ["discovery", ":4"]
    assert answer(["--context"], "") == ["kind-trending", ":4"]
    assert answer(["list", "-o"], "") == ["wide", "json", "yaml", "name", ":4"]


def test_files_are_offered_for_a_kubeconfig() -> None:
    assert answer(["list", "--kubeconfig"], "") == [":0"]


def test_nothing_is_offered_where_there_is_no_kubectl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert answer(["status"], "") == [":4"]


def test_the_program_that_kubectl_looks_for_is_installed_and_needs_no_client() -> None:
    program = Path(sys.executable).with_name("kubectl_complete-trending")
    done = subprocess.run([program, "sta"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("status\t")
    assert done.stdout.splitlines()[-1] == ":4"
    code = """
import sys
from trending.cli.kubectl.completion import answer
answer(["list"], "--")
sys.exit(", ".join({"kubernetes", "aiohttp", "pydantic", "rich", "yaml"} & set(sys.modules)) or 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("shell", "said"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete ")])
def test_each_shell_gets_a_script(shell: str, said: str) -> None:
    assert said in call("completion", shell).stdout


def test_another_shell_is_a_usage_error() -> None:
    assert call("completion", "tcsh").exit_code == 2
