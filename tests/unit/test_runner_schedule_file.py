"""A schedule in a file is checked as the API server would, and what is wrong is told by its field."""

from pathlib import Path

import pytest

from trending.cli.schedule_file import ScheduleFileError, read_schedule_file

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
        ("name: hourly, ", "", "metadata.name is missing"),
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
        (GOOD, "a: !!binary aGVsbG8=", "holds what JSON has no word for"),
        (GOOD, "a: &a [*a]", "holds what JSON has no word for"),
        ("{secretKeyRef: {name: db, key: uri}, settings: {work_mem: 256MB}}", "x", "spec.database is no object"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert sentence in read(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    "value", ["2026-11-23", "2026-11-23T10:00:00Z", "2026-11-23 10:00:00"], ids=["a day", "a time", "a time as in SQL"]
)
def test_what_looks_like_a_time_is_text_as_it_is_to_kubectl(tmp_path: Path, value: str) -> None:
    (tmp_path / "x.yaml").write_text(GOOD.replace("slice: {}", f"slice: {{day: [{value}]}}"))
    assert read_schedule_file(tmp_path / "x.yaml").spec.rewrite[0].slice == {"day": [value]}


def test_several_things_are_told_at_once(tmp_path: Path) -> None:
    told = read(tmp_path, GOOD.replace("schedule: ", "backoffLimit: -1\n  shedule: "))
    assert len(told.splitlines()) == 3


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScheduleFileError, match="cannot be read: No such file or directory"):
        read_schedule_file(tmp_path / "none.yaml")
