"""A schedule in a file is checked as the API server would, and what is wrong is told by its field."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trending.cli.schedule_file import ScheduleFileError, read_schedule_file, read_schedule_object

GOOD = """
apiVersion: trending.dev/v1
kind: TrendingSchedule
metadata: {name: hourly, namespace: discovery}
spec:
  schedule: "0 * * * *"
  database: {secretKeyRef: {name: db, key: uri}, settings: {work_mem: 256MB}}
  rewrite:
    - {name: own, table: hot, slice: {}, query: SELECT 1}
"""


def read(folder: Path, text: str) -> str:
    """The sentence that a file is refused with."""
    file = folder / "schedule.yaml"
    file.write_text(text)
    with pytest.raises(ScheduleFileError) as caught:
        read_schedule_file(file)
    return str(caught.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"---\n{GOOD}\n---\n")
    schedule = read_schedule_file(tmp_path / "x.yaml")
    assert (schedule.name, schedule.namespace) == ("hourly", "discovery")
    assert schedule.spec.rewrite[0].query == "SELECT 1"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("TrendingSchedule", "CronJob", "apiVersion 'trending.dev/v1' and kind 'CronJob': a schedule has apiVersion"),
        ("spec:", "suspend: true\nspec:", "unknown field 'suspend'; fields of a schedule stand under spec"),
        ("spec:", "{[a]: b}: 1\nspec:", "is not YAML"),
        ("spec:", "on: 1\nsuspend: true\nspec:", "unknown field 'suspend'; fields of a schedule stand under spec"),
        ("name: hourly, ", "", "metadata.name is missing"),
        ("name: hourly, ", "name: 7, ", "metadata.name has to be a text: write 7 in quotes"),
        (
            "namespace:",
            "annotations: {trending.dev/requestedAt: 5}, namespace:",
            "requestedAt has to be a text: write 5",
        ),
        ("namespace:", "labels: [a], namespace:", "metadata.labels has to be an object"),
        ("namespace:", "creationTimestamp: soon, namespace:", "metadata.creationTimestamp: 'soon' is not a time"),
        ("spec:", "status:", "spec is no object"),
        ("schedule: ", "shedule: ", "spec.schedule is missing"),
        ("schedule: ", "shedule: ", "spec.shedule: there is no such field"),
        ("query: SELECT 1", "query: 1", "spec.rewrite[0].query: Input should be a valid string"),
        ("query: SELECT 1", "preset: {name: p}", "spec.rewrite[0].preset.timeRanges is missing"),
        ("query: SELECT 1", "strategy: Auto", "target own: the rows come from a preset or from a query"),
        (", key: uri", "", "spec.database.secretKeyRef: a Secret holds several keys: name the one to read"),
        ("work_mem", "Role", "spec.database: settings.Role: role, session_authorization, TimeZone and transaction_*"),
        ("{name: own,", "{name: own, stategy: Merge,", "spec.rewrite[0].stategy: there is no such field"),
        (GOOD, GOOD + "---" + GOOD, "holds 2 documents"),
        (GOOD, "", "holds 0 documents"),
        (GOOD, "- a\n- b", "holds no object"),
        (GOOD, "a: [", "is not YAML"),
        ("{secretKeyRef: {name: db, key: uri}, settings: {work_mem: 256MB}}", "x", "spec.database is no object"),
        (GOOD, "a:\n\tb: 1", "is not YAML: while scanning for the next token found character '\\t'"),
        (GOOD, "a: !!int x", "is not YAML"),
        (GOOD, "a: !!bool x", "is not YAML"),
        (GOOD, f"a: {'9' * 5000}", "is not YAML"),
        (GOOD, "[" * 5000, "is not YAML"),
        (GOOD, "a: !!binary aGk=", "holds what JSON has no word for"),
        (GOOD, "a: !!set {b}", "holds what JSON has no word for"),
        (GOOD, "a: .inf", "holds what JSON has no word for"),
        (GOOD, "a: &a [*a]", "holds what JSON has no word for"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert sentence in read(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    "value",
    ["2026-11-23", "2026-11-23T10:00:00Z", "2026-11-23 10:00:00", "2026-02-30"],
    ids=["a day", "a time", "a time as in SQL", "no day at all"],
)
def test_what_looks_like_a_time_is_text_as_it_is_to_kubectl(tmp_path: Path, value: str) -> None:
    (tmp_path / "x.yaml").write_text(GOOD.replace("slice: {}", f"slice: {{day: [{value}]}}"))
    assert read_schedule_file(tmp_path / "x.yaml").spec.rewrite[0].slice == {"day": [value]}


def test_what_is_null_in_the_metadata_is_as_good_as_absent(tmp_path: Path) -> None:
    nulls = "creationTimestamp: null, deletionTimestamp: null, annotations: null, namespace: null"
    (tmp_path / "x.yaml").write_text(GOOD.replace("namespace: discovery", nulls))
    assert read_schedule_object(tmp_path / "x.yaml")["metadata"] == {"name": "hourly"}
    assert read_schedule_file(tmp_path / "x.yaml").namespace == "default"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8 text"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
    ],
    ids=["no UTF-8", "a folder"],
)
def test_what_is_no_file_of_text_is_told(tmp_path: Path, make: Callable[[Path], object], sentence: str) -> None:
    make(tmp_path / "x.yaml")
    with pytest.raises(ScheduleFileError, match=sentence):
        read_schedule_file(tmp_path / "x.yaml")


def test_several_things_are_told_at_once(tmp_path: Path) -> None:
    told = read(tmp_path, GOOD.replace("schedule: ", "backoffLimit: -1\n  shedule: "))
    assert len(told.splitlines()) == 3


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError, match="cannot be read: No such file or directory"):
        read_schedule_file(tmp_path / "none.yaml")
