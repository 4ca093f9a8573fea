"""`trending next` and `trending explain` answer in words and in JSON, and refuse with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from trending.cli import main

SCHEDULE = """
apiVersion: trending.dev/v1
kind: TrendingSchedule
metadata: {{name: hourly, creationTimestamp: 2026-11-23T10:20:00Z, uid: u1}}
spec:
  schedule: "{schedule}"
  suspend: {suspend}
  database: {{secretKeyRef: {{name: db, key: uri}}}}
  rewrite: [{{name: week, preset: {{name: audius/tracks-pnagD, timeRanges: [week]}}}}]
"""


def answer(*arguments: str) -> object:
    result = CliRunner().invoke(main, [*arguments, "-o", "json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result.output


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def schedule(expression: str = "0 * * * *", *, suspend: str = "false") -> str:
        path = tmp_path / "hourly.yaml"
        path.write_text(SCHEDULE.format(schedule=expression, suspend=suspend))
        return str(path)

    return schedule


def test_next_gives_times_of_the_zone_with_their_offset() -> None:
    times = answer("next", "30 2 * * *", "--time-zone", "Europe/Berlin", "--from", "2027-03-26T12:00:00Z", "-n", "2")
    assert times == ["2027-03-27T02:30:00+01:00", "2027-03-29T02:30:00+02:00"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0 0 31 2 *",), "never fires"),
        (("0 0 0 * * *",), "has 6 fields"),
        (("@hourly", "--time-zone", "Europe/Berln"), "there is no time zone 'Europe/Berln'"),
        (("@hourly", "--from", "yesterday"), "is not a time"),
    ],
    ids=["never fires", "six fields", "unknown zone", "no time"],
)
def test_next_refuses_with_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    assert words in refusal("next", *arguments)


def test_explain_names_the_job_of_a_slot_that_is_due(write: Write) -> None:
    said = answer("explain", "-f", write(), "--now", "2026-11-23T11:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["job"]) == ("start", "hourly-29923860")
    assert (said["scheduledTime"], said["nextScheduleTime"]) == ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z")


def test_explain_says_what_holds_a_slot_back(write: Write, tmp_path: Path) -> None:
    job = {
        "metadata": {
            "name": "hourly-29923860",
            "namespace": "default",
            "creationTimestamp": "2026-11-23T11:00:00Z",
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-23T11:00:00Z"},
            "ownerReferences": [{"kind": "TrendingSchedule", "name": "hourly", "uid": "u1", "controller": True}],
        }
    }
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps({"kind": "List", "items": [job]}))
    said = answer("explain", "-f", write(), "--jobs", str(jobs), "--now", "2026-11-23T12:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["reason"], said["scheduledTime"]) == (
        "skip",
        "JobAlreadyActive",
        "2026-11-23T12:00:00Z",
    )


def test_explain_answers_for_suspended_and_for_invalid_schedules_too(write: Write) -> None:
    suspended = answer("explain", "-f", write(suspend="true"), "--now", "2026-11-23T11:00:05Z")
    invalid = answer("explain", "-f", write("0 0 31 2 *"), "--now", "2026-11-23T11:00:05Z")
    assert isinstance(suspended, dict)
    assert isinstance(invalid, dict)
    assert (suspended["action"], suspended["reason"]) == ("none", None)
    assert (invalid["action"], invalid["reason"]) == ("none", "InvalidSchedule")


def test_explain_refuses_a_file_of_another_kind_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\n")
    assert "a schedule has apiVersion: trending.dev/v1" in refusal("explain", "-f", str(path))
