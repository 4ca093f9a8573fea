"""`trending next` and `trending explain` answer in words and in JSON, and refuse with a sentence."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from trending.cli import main
from trending.cli.plan_view import print_plan
from trending.cli.run_view import print_report
from trending.report import Report
from trending.runner.planned import RunPlan
from trending.runner.preflight import Finding
from trending.schedule.job_names import manual_job_name

SCHEDULE = """
apiVersion: trending.dev/v1
kind: TrendingSchedule
metadata: {{name: hourly, creationTimestamp: 2026-11-23T10:20:00Z, uid: u1}}
spec:
  schedule: "{schedule}"
  suspend: {suspend}
  concurrencyPolicy: {policy}
  spread: {spread}
  minInterval: {interval}
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
    def schedule(expression: str = "0 * * * *", *, status: object = None, **fields: str) -> str:
        path = tmp_path / "hourly.yaml"
        usual = {"suspend": "false", "policy": "Forbid", "spread": "0s", "interval": "0s"}
        text = SCHEDULE.format(schedule=expression, **{**usual, **fields})
        path.write_text(text + (f"status: {json.dumps(status)}\n" if status else ""))
        return str(path)

    return schedule


@pytest.fixture
def active(tmp_path: Path) -> str:
    """A file with the active Job of 11:00."""
    job = {
        "metadata": {
            "name": "hourly-29923860",
            "namespace": "default",
            "creationTimestamp": "2026-11-23T11:00:00Z",
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-23T11:00:00Z"},
            "ownerReferences": [{"kind": "TrendingSchedule", "name": "hourly", "uid": "u1", "controller": True}],
        }
    }
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"kind": "List", "items": [job]}))
    return str(path)


def words(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_next_gives_times_of_the_zone_with_their_offset() -> None:
    times = answer("next", "30 2 * * *", "--time-zone", "Europe/Berlin", "--from", "2027-03-26T12:00:00Z", "-n", "2")
    assert times == ["2027-03-27T02:30:00+01:00", "2027-03-29T02:30:00+02:00"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0 0 31 2 *",), "never fires"),
        (("0 0 0 * * *",), "has 6 fields"),
        (("@hourly", "--time-zone", "Europe/Berln"), "there is no time zone 'Europe/Berln'"),
        (("TZ=UTC 0 * * * *",), "write it in --time-zone"),
        (("@hourly", "--from", "yesterday"), "is not a time"),
    ],
    ids=["never fires", "six fields", "unknown zone", "zone within", "no time"],
)
def test_next_refuses_with_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    assert words in refusal("next", *arguments)


def test_explain_names_the_job_of_a_slot_that_is_due(write: Write) -> None:
    said = answer("explain", "-f", write(), "--now", "2026-11-23T11:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["job"]) == ("start", "hourly-29923860")
    assert (said["scheduledTime"], said["nextScheduleTime"]) == ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z")


def test_explain_says_what_holds_a_slot_back(write: Write, active: str) -> None:
    said = answer("explain", "-f", write(), "--jobs", active, "--now", "2026-11-23T12:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["reason"], said["scheduledTime"]) == (
        "skip",
        "JobAlreadyActive",
        "2026-11-23T12:00:00Z",
    )


def test_explain_names_the_active_job_that_would_make_way(write: Write, active: str) -> None:
    said = answer("explain", "-f", write(policy="Replace"), "--jobs", active, "--now", "2026-11-23T12:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["reason"], said["job"]) == ("replace", "SuccessfulCreate", "hourly-29923920")
    assert said["deletes"] == ["hourly-29923860"]


SUCCEEDED = {
    "scheduleSince": "2026-11-23T10:20:00Z",
    "observedSchedule": {"schedule": "0 * * * *", "timeZone": "Etc/UTC"},
    "lastScheduleTime": "2026-11-23T11:00:00Z",
    "lastSuccessfulTime": "2026-11-23T11:50:00Z",
    "nextScheduleTime": "2026-11-23T12:00:00Z",
}


@pytest.mark.parametrize(
    ("fields", "jobs", "now", "expected"),
    [
        pytest.param(
            {},
            False,
            "10:59:00",
            ["Nothing is started now. No slot is due.", "The next slot starts at 2026-11-23T11:00:00Z, in 1m."],
            id="nothing due",
        ),
        pytest.param(
            {},
            False,
            "11:00:05",
            [
                (
                    "Job hourly-29923860 would be started now. Slot 2026-11-23T11:00:00Z is due, and nothing stands in "
                    "its way."
                ),
                "The next slot starts at 2026-11-23T12:00:00Z, in 59m55s.",
            ],
            id="due",
        ),
        pytest.param(
            {},
            True,
            "12:00:05",
            [
                (
                    "Nothing is started now. Not starting slot 2026-11-23T12:00:00Z: Job hourly-29923860 is active and "
                    "concurrencyPolicy is Forbid."
                ),
                "That slot starts late, as soon as the way is free, if no newer one has come.",
            ],
            id="held by an active run",
        ),
        pytest.param(
            {"policy": "Replace"},
            True,
            "12:00:05",
            [
                (
                    "Job hourly-29923860 would be deleted, and then Job hourly-29923920 would be started now. "
                    "Slot 2026-11-23T12:00:00Z is due, and concurrencyPolicy Replace has it end the active Job "
                    "hourly-29923860."
                ),
                "The next slot starts at 2026-11-23T13:00:00Z, in 59m55s.",
            ],
            id="the active run makes way",
        ),
        pytest.param(
            {"interval": "90m", "status": SUCCEEDED},
            False,
            "12:00:05",
            [
                (
                    "Nothing is started now. Slot 2026-11-23T12:00:00Z is held until 2026-11-23T13:20:00Z: the last "
                    "successful run ended less than 1h30m (minInterval) ago."
                ),
                "The next slot starts at 2026-11-23T13:20:00Z, in 1h19m55s.",
            ],
            id="too soon after a success",
        ),
        pytest.param(
            {"spread": "28m3s"},
            False,
            "11:00:00",
            [
                "Nothing is started now. No slot is due.",
                "The next slot starts at 2026-11-23T11:07:13Z, in 7m13s.",
                "With spread, it starts each slot 7m13s after its instant.",
            ],
            id="spread",
        ),
        pytest.param(
            {"suspend": "true"},
            False,
            "11:00:05",
            [
                "Nothing is started now. The schedule is suspended.",
                "No slot starts until spec.suspend is false; a run by hand does.",
            ],
            id="suspended",
        ),
        pytest.param(
            {"spread": "1h"},
            False,
            "11:00:05",
            [
                "Nothing is started now. The schedule is not accepted, and starts nothing until it is corrected.",
                (
                    "InvalidSchedule: spec.spread: 1h would have a slot start when the next one is due, which comes 1h "
                    "after it at times: write less than 1h"
                ),
            ],
            id="not accepted",
        ),
        pytest.param(
            {"policy": "Allow"},
            False,
            "11:00:05",
            [
                "Nothing is started: the API server would refuse the schedule.",
                (
                    "spec: concurrencyPolicy 'Allow': runs of one schedule never work side by side, since two writers "
                    "of a slice would undo each other's work: write concurrencyPolicy: Forbid, which waits for the "
                    "active run, or Replace, which ends it"
                ),
            ],
            id="refused at apply",
        ),
    ],
)
def test_explain_says_in_words_what_would_happen_and_why_and_what_comes_next(
    write: Write, active: str, fields: dict[str, str], jobs: bool, now: str, expected: list[str]
) -> None:
    listed = ("--jobs", active) if jobs else ()
    said = words("explain", "-f", write(**fields), *listed, "--now", f"2026-11-23T{now}Z")
    assert said.splitlines() == expected


def test_next_says_in_words_when_and_how_long_until_then() -> None:
    said = words("next", "30 2 * * *", "--time-zone", "Europe/Berlin", "--from", "2027-03-26T12:00:00Z", "-n", "2")
    assert said.splitlines() == [
        "2027-03-27T02:30:00+01:00  Sat  in 13h 30m",
        "2027-03-29T02:30:00+02:00  Mon  in 2d 12h",
    ]
    last = words("next", "0 0 29 2 *", "--from", "2095-11-23T00:00:00Z", "-n", "2")
    assert last.splitlines()[1:] == ["Then it does not fire within five years."]


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


def test_explain_says_that_a_slot_whose_name_another_job_has_is_left_out(write: Write, tmp_path: Path) -> None:
    """As the controller finds when it creates the Job: a CronJob of the same name makes the same Jobs."""
    other = {"metadata": {"name": "hourly-29923860", "creationTimestamp": "2026-11-23T11:00:00Z"}}
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps({"kind": "List", "items": [other]}))
    arguments = ("explain", "-f", write(), "--jobs", str(jobs), "--now", "2026-11-23T11:00:05Z")
    said = answer(*arguments)
    assert isinstance(said, dict)
    assert (said["action"], said["reason"], said["job"]) == ("skip", "UnexpectedJob", "hourly-29923860")
    assert said["nextScheduleTime"] == "2026-11-23T12:00:00Z"
    [event] = said["events"]
    assert event["message"] == "Job hourly-29923860 exists already and belongs to somebody else; its slot is left out"
    assert words(*arguments).splitlines() == [
        f"Nothing is started now. {event['message']}.",
        "The next slot starts at 2026-11-23T12:00:00Z, in 59m55s.",
    ]


def test_explain_leaves_an_active_job_alone_where_the_next_ones_name_is_taken(write: Write, active: str) -> None:
    jobs = json.loads(Path(active).read_text())
    jobs["items"].append({"metadata": {"name": "hourly-29923920", "creationTimestamp": "2026-11-23T12:00:00Z"}})
    Path(active).write_text(json.dumps(jobs))
    said = answer("explain", "-f", write(policy="Replace"), "--jobs", active, "--now", "2026-11-23T12:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["reason"], said["deletes"]) == ("skip", "UnexpectedJob", [])


def test_explain_takes_what_kubectl_makes_without_a_cluster_for_created_now(write: Write) -> None:
    path = Path(write())
    path.write_text(path.read_text().replace("2026-11-23T10:20:00Z, uid: u1", "null, uid: null"))
    said = answer("explain", "-f", str(path), "--now", "2026-11-23T11:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["nextScheduleTime"]) == ("wait", "2026-11-23T12:00:00Z")


def test_explain_reads_a_request_as_kubectl_does_though_it_looks_like_a_time(write: Write) -> None:
    path = Path(write())
    annotated = "uid: u1, annotations: {trending.dev/requestedAt: 2026-11-23T11:00:00Z}"
    path.write_text(path.read_text().replace("uid: u1", annotated))
    said = answer("explain", "-f", str(path), "--now", "2026-11-23T10:30:00Z")
    assert isinstance(said, dict)
    assert said["job"] == manual_job_name("hourly", "2026-11-23T11:00:00Z")


@pytest.mark.parametrize("as_list", [True, False], ids=["a list", "a single Job"])
def test_explain_takes_jobs_written_by_hand_with_the_least_that_they_need(
    write: Write, tmp_path: Path, as_list: bool
) -> None:
    owner = {"kind": "TrendingSchedule", "name": "hourly", "uid": "u1", "controller": True}
    job = {"kind": "Job", "metadata": {"name": "hourly-29923860", "ownerReferences": [owner]}}
    jobs = tmp_path / "jobs.yaml"
    jobs.write_text(json.dumps({"items": [job]} if as_list else job))
    said = answer("explain", "-f", write(), "--jobs", str(jobs), "--now", "2026-11-23T12:00:05Z")
    assert isinstance(said, dict)
    assert said["reason"] == "JobAlreadyActive"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("2026-11-23T10:20:00Z", "2026-11-23", "metadata.creationTimestamp: 2026-11-23T00:00:00 has no zone"),
        ("uid: u1", "uid: u1, annotations: {a: 5}", "metadata.annotations.a has to be a text: write 5 in quotes"),
        ("uid: u1", "uid: u1, labels: x", "metadata.labels has to be an object"),
    ],
    ids=["no zone", "a number", "no map"],
)
def test_explain_refuses_metadata_that_no_object_has_with_a_sentence(
    write: Write, old: str, new: str, told: str
) -> None:
    path = Path(write())
    path.write_text(path.read_text().replace(old, new))
    assert told in refusal("explain", "-f", str(path))


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ({"kind": "List"}, "holds no List of Jobs: make it with `kubectl get jobs -o json`"),
        ({"items": [1]}, "items[0] is no Job: it has no metadata.name"),
        ({"items": [{"metadata": {"name": "x", "creationTimestamp": "soon"}}]}, "Job x cannot be read: 'soon' is not"),
        ({"items": [{"metadata": {"name": "x", "ownerReferences": [{"controller": True}]}}]}, "Job x cannot be read"),
        ({"items": [{"kind": "Pod", "metadata": {"name": "x"}}]}, "items[0] is no Job, but of kind Pod"),
    ],
    ids=["no items", "no object", "no time", "no uid", "a pod"],
)
def test_explain_refuses_what_are_no_jobs_with_a_sentence(
    write: Write, tmp_path: Path, jobs: object, told: str
) -> None:
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps(jobs))
    assert told in refusal("explain", "-f", write(), "--jobs", str(path))


@pytest.mark.parametrize(
    ("cut", "status", "told"),
    [
        (True, None, "spec is no object: write its fields below it"),
        (False, {"lastRun": {"job": "x"}}, "status.lastRun.result is missing"),
    ],
    ids=["no spec", "a status that is none"],
)
def test_explain_answers_for_an_object_that_the_api_server_would_refuse(
    write: Write, cut: bool, status: object, told: str
) -> None:
    path = Path(write(status=status))
    if cut:
        path.write_text(path.read_text().partition("spec:")[0])
    said = answer("explain", "-f", str(path), "--now", "2026-11-23T11:00:05Z")
    assert isinstance(said, dict)
    assert (said["action"], said["reason"]) == ("none", "InvalidSchedule")
    assert said["events"][0]["message"] == told


def test_the_schedule_may_come_from_standard_input(write: Write) -> None:
    text = Path(write()).read_text()
    result = CliRunner().invoke(main, ["explain", "-f", "-", "--now", "2026-11-23T11:00:05Z"], input=text)
    assert (result.exit_code, result.output.splitlines()[0].split(" ")[:2]) == (0, ["Job", "hourly-29923860"])
    result = CliRunner().invoke(main, ["explain", "-f", "-"], input="a: [")
    assert (result.exit_code, result.output[:34]) == (1, "Error: standard input is not YAML:")


def test_plan_reads_a_file_once_since_it_may_be_a_pipe(write: Write) -> None:
    text = Path(write()).read_text()
    environment = {"TRENDING_DATABASE_URI": ""}
    result = CliRunner().invoke(main, ["plan", "-f", "-", "-o", "json"], input=text, env=environment)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["preflight"][0]["sentence"].startswith("no database is given")


def test_a_text_in_colons_is_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 23, 11, tzinfo=UTC)
    message = "connection to server at fd00:a:b::1 failed"
    print_report(
        Report(job="x", start_time=at, completion_time=at, result="Failed", reason="ConnectionError", message=message)
    )
    print_plan(RunPlan(preflight=[Finding(level="error", where="database", sentence=message)]))
    assert capsys.readouterr().out.count(message) == 2


def test_a_bench_that_could_not_write_its_figures_is_not_begun(tmp_path: Path) -> None:
    arguments = [
        "bench",
        "--database",
        "postgresql://nobody@127.0.0.1:9/none",
        "--json",
        str(tmp_path / "no" / "x.json"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stderr) == (2, f"Error: --json: there is no folder {tmp_path / 'no'}\n")
