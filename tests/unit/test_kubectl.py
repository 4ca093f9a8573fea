"""`kubectl trending`: where it works, what it says when it cannot, and how quickly it is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.api_server import ApiServer, write_kubeconfig
from tests.unit.kube import schedule_body
from tests.unit.plugin import call


def test_suspend_and_resume_set_the_field_and_say_so(server: ApiServer) -> None:
    assert call("suspend", "hourly").stdout == "hourly: suspended\n"
    assert server.schedules[0]["spec"]["suspend"] is True
    assert call("resume", "hourly").stdout == "hourly: resumed\n"
    assert server.patched == [{"spec": {"suspend": True}}, {"spec": {"suspend": False}}]


def test_objects_are_printed_alone_for_programs(server: ApiServer) -> None:
    server.schedules[0]["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    read = json.loads(call("suspend", "hourly", "-o", "json").stdout)
    assert read == yaml.safe_load(call("suspend", "hourly", "-o", "yaml").stdout)
    assert (read["kind"], read["spec"]["suspend"]) == ("TrendingSchedule", True)
    assert "managedFields" not in read["metadata"]
    assert call("suspend", "hourly", "-o", "name").stdout == "trendingschedule.trending.dev/hourly\n"


@pytest.mark.parametrize("arguments", [("-n", "other", "suspend", "hourly"), ("suspend", "hourly", "-n", "other")])
def test_the_namespace_may_stand_before_the_command_or_after_it(server: ApiServer, arguments: tuple[str, ...]) -> None:
    server.schedules.append(schedule_body())
    server.schedules[1]["metadata"]["namespace"] = "other"
    assert call(*arguments).exit_code == 0
    assert [body["spec"].get("suspend") for body in server.schedules] == [None, True]


@pytest.mark.usefixtures("server")
def test_a_name_that_does_not_exist_is_told_with_those_that_are_near() -> None:
    result = call("run", "hourli")
    assert result.exit_code == 1
    assert result.stderr == 'Error: there is no schedule "hourli" in namespace default; did you mean hourly?\n'


def test_a_name_that_does_not_exist_is_told_also_to_who_may_not_list(server: ApiServer) -> None:
    server.refused_kinds.add("trendingschedules")
    result = call("run", "hourli")
    assert result.stderr == 'Error: there is no schedule "hourli" in namespace default\n'


@pytest.mark.usefixtures("server")
def test_a_name_of_another_namespace_is_told_with_that() -> None:
    result = call("run", "hourly", "-n", "discovery")
    assert result.stderr == (
        'Error: there is no schedule "hourly" in namespace discovery; there is one in default: add -n default\n'
    )


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        pytest.param((403, "schedules is forbidden:\n no"), "schedules is forbidden: no", id="no rights"),
        pytest.param(
            (401, "Unauthorized"), "the API server does not know you (Unauthorized): log in again", id="login"
        ),
        pytest.param((500, "etcd is slow"), "etcd is slow", id="broken"),
    ],
)
def test_what_the_api_server_refuses_is_one_sentence(server: ApiServer, refused: tuple[int, str], told: str) -> None:
    server.refuse = refused
    result = call("suspend", "hourly")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {told}")
    assert result.stderr.count("\n") == 1


def test_a_cluster_without_the_operator_is_told_as_such(server: ApiServer) -> None:
    server.installed = False
    assert "the operator is not installed" in call("suspend", "hourly").stderr


def test_a_cluster_that_cannot_be_reached_is_told_as_such(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:9")
    result = call("suspend", "hourly", "--kubeconfig", str(config))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the cluster cannot be reached: ")


def test_a_kubeconfig_that_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    result = call("suspend", "hourly", "--kubeconfig", str(tmp_path / "nothing"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: there is no kubeconfig at {tmp_path}/nothing: ")


def test_a_context_that_does_not_exist_is_told_with_those_that_are_near(server: ApiServer) -> None:
    result = call("suspend", "hourly", "--context", "her")
    assert (result.exit_code, server.patched) == (1, [])
    assert result.stderr == 'Error: your kubeconfig has no context "her"; did you mean here?\n'


@pytest.mark.parametrize("current", ["", "gone"])
def test_a_context_that_is_named_needs_no_current_one(server: ApiServer, tmp_path: Path, current: str) -> None:
    config = tmp_path / "config"  # where $KUBECONFIG leads
    config.write_text(json.dumps({**json.loads(config.read_text()), "current-context": current}))
    arguments = ("suspend", "hourly")
    assert call(*arguments, "--context", "here").exit_code == 0
    assert server.schedules[0]["spec"]["suspend"] is True
    told = call(*arguments).stderr
    assert told == (
        'Error: your kubeconfig has no context "gone"\n'
        if current
        else "Error: your kubeconfig has no current context: name one with --context; there is here\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no kubeconfig"),
        ("- a", "is no kubeconfig"),
        ("a: [", "is no kubeconfig"),
        ("apiVersion: v1\nkind: Config\ncontexts: null\ncurrent-context: ''\n", "has no current context"),
        ("contexts: [{name: a}]\ncurrent-context: a\n", "Expected key context"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_told_as_such(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "config").write_text(text)
    result = call("suspend", "hourly", "--kubeconfig", str(tmp_path / "config"))
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("Error: ")
    assert sentence in result.stderr


def test_a_command_that_does_not_exist_is_told_with_those_that_are_near() -> None:
    result = call("suspnd", "hourly")
    assert result.exit_code == 2
    assert "there is no command 'suspnd'; did you mean suspend?" in result.stderr


def test_help_waits_for_neither_the_kubernetes_client_nor_tables() -> None:
    code = """
import sys
from trending.cli.kubectl import program
program(["--help"], standalone_mode=False)
heavy = {"kubernetes", "aiohttp", "kopf", "psycopg", "pydantic", "rich", "yaml"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "suspend" in done.stdout
