"""What the store takes up and what it forgets, in whatever order watches and lists tell it."""

import logging

import pytest

from tests.unit.kube import job_body, schedule_body
from trending.api.names import SCHEDULE_LABEL
from trending.controller.kube import JsonObject
from trending.controller.store import Key, Store

HOURLY = Key("default", "hourly")


class Watched:
    """A store, and the schedules that it said have changed."""

    def __init__(self) -> None:
        self.changed: list[Key] = []
        self.store = Store(changed=self.changed.append)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def versioned(version: int, *, uid: str = "u1", suspend: bool = False) -> JsonObject:
    body = schedule_body(suspend=suspend)
    body["metadata"] |= {"resourceVersion": str(version), "uid": uid}
    return body


def unreadable(version: int) -> JsonObject:
    body = versioned(version)
    body["spec"]["fromTheFuture"] = True
    return body


def is_suspended(store: Store) -> bool:
    schedule = store.schedule(HOURLY)
    assert schedule is not None
    return schedule.spec.suspend


def test_a_newer_schedule_replaces_an_older_one_and_is_told(watched: Watched) -> None:
    watched.store.put_schedule(versioned(9))
    watched.store.put_schedule(versioned(10, suspend=True))
    assert is_suspended(watched.store), "versions are numbers: 10 is newer than 9"
    assert watched.changed == [HOURLY, HOURLY]


@pytest.mark.parametrize("version", [9, 10])
def test_a_schedule_that_is_not_newer_is_passed_over(watched: Watched, version: int) -> None:
    watched.store.put_schedule(versioned(10))
    watched.store.put_schedule(versioned(version, suspend=True))
    assert not is_suspended(watched.store)
    assert watched.changed == [HOURLY]


def test_a_schedule_that_was_made_anew_under_its_name_is_taken_up(watched: Watched) -> None:
    watched.store.put_schedule(versioned(10))
    watched.store.put_schedule(versioned(20, uid="u2"))
    schedule = watched.store.schedule(HOURLY)
    assert schedule is not None
    assert schedule.uid == "u2"


def test_a_late_word_of_the_schedule_before_does_not_bring_it_back(watched: Watched) -> None:
    watched.store.put_schedule(versioned(20, uid="u2"))
    watched.store.put_schedule(versioned(10, uid="u1"))
    schedule = watched.store.schedule(HOURLY)
    assert schedule is not None
    assert schedule.uid == "u2"


def test_a_late_word_of_the_job_before_does_not_bring_it_back(watched: Watched) -> None:
    watched.store.put_job(job_body("hourly-1", uid="new", version=20))
    watched.store.put_job(job_body("hourly-1", uid="old", version=10))
    assert [job.uid for job in watched.store.jobs(HOURLY)] == ["new"]


def test_a_schedule_that_cannot_be_read_is_told_and_left_alone(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.store.put_schedule(versioned(1))
    with caplog.at_level(logging.ERROR):
        watched.store.put_schedule(unreadable(2))
    assert watched.store.schedule(HOURLY) is None
    assert watched.store.unreadable == 1
    assert "default/hourly is passed over" in caplog.text


def test_a_schedule_that_cannot_be_read_is_counted_once_and_until_it_can(watched: Watched) -> None:
    for version in (2, 2, 3):
        watched.store.put_schedule(unreadable(version))
    assert watched.store.unreadable == 1
    watched.store.put_schedule(versioned(4))
    assert (watched.store.unreadable, watched.store.keys()) == (0, [HOURLY])


def test_an_older_word_of_a_schedule_that_cannot_be_read_does_not_bring_it_back(watched: Watched) -> None:
    """Such as the late answer to a write of the status, or a list that was begun before the edit."""
    watched.store.put_schedule(unreadable(3))
    watched.store.put_schedule(versioned(2))
    assert (watched.store.unreadable, watched.store.keys()) == (1, [])


def test_a_schedule_that_cannot_be_read_is_forgotten_once_it_is_gone(watched: Watched) -> None:
    watched.store.put_schedule(unreadable(2))
    watched.store.remove_schedule(HOURLY, uid="another that had its name", version=9)
    assert watched.store.unreadable == 1
    watched.store.remove_schedule(HOURLY, uid="u1", version=3)
    assert watched.store.unreadable == 0
    watched.store.put_schedule(unreadable(2))
    assert watched.store.unreadable == 0, "this is older than that it is gone"
    watched.store.put_schedule(unreadable(4))
    watched.store.remove_schedule(HOURLY)
    assert watched.store.unreadable == 0


@pytest.mark.parametrize(
    ("namespace", "version", "left"), [(None, 2, 0), ("default", 2, 0), ("other", 2, 1), (None, 1, 1)]
)
def test_a_list_removes_a_schedule_that_cannot_be_read_as_any_other(
    watched: Watched, namespace: str | None, version: int, left: int
) -> None:
    watched.store.put_schedule(unreadable(2))
    watched.store.keep_schedules([HOURLY], version, namespace=namespace)
    assert watched.store.unreadable == 1, "it is in the list"
    watched.store.keep_schedules([], version, namespace=namespace)
    assert watched.store.unreadable == left


def test_a_schedule_that_is_gone_is_forgotten(watched: Watched) -> None:
    watched.store.put_schedule(versioned(1))
    watched.store.remove_schedule(HOURLY)
    watched.store.remove_schedule(HOURLY)
    assert watched.store.schedule(HOURLY) is None
    assert len(watched.store) == 0
    assert watched.changed == [HOURLY, HOURLY], "what others keep of it goes too"


def test_jobs_are_found_by_the_schedule_that_their_label_names(watched: Watched) -> None:
    watched.store.put_job(job_body("hourly-1", uid="j1"))
    watched.store.put_job(job_body("hourly-2", uid="j2", owner="somebody else"))
    watched.store.put_job(job_body("daily-1", uid="j3", schedule="daily"))
    assert [job.name for job in watched.store.jobs(HOURLY)] == ["hourly-1", "hourly-2"]
    assert watched.changed == [HOURLY, HOURLY, Key("default", "daily")]


def test_a_job_without_our_label_is_nobodys(watched: Watched) -> None:
    foreign = job_body("migrate-1")
    del foreign["metadata"]["labels"][SCHEDULE_LABEL]
    bare = job_body("bare-1")
    del bare["metadata"]["labels"]
    for body in (foreign, bare):
        watched.store.put_job(body)
        watched.store.remove_job(body)
    assert watched.changed == []


@pytest.mark.parametrize("version", [9, 10])
def test_a_job_that_is_not_newer_is_passed_over(watched: Watched, version: int) -> None:
    watched.store.put_job(job_body("hourly-1", version=10))
    older = job_body("hourly-1", version=version)
    older["status"] = {"ready": 1}
    watched.store.put_job(older)
    assert [job.ready for job in watched.store.jobs(HOURLY)] == [0]
    assert watched.changed == [HOURLY]


def test_a_job_that_is_gone_is_forgotten_and_told_once(watched: Watched) -> None:
    body = job_body("hourly-1")
    watched.store.put_job(body)
    watched.changed.clear()
    watched.store.remove_job(body)
    watched.store.remove_job(body)
    assert watched.store.jobs(HOURLY) == []
    assert watched.changed == [HOURLY]


def test_the_end_of_a_job_does_not_take_its_successor_of_the_same_name_with_it(watched: Watched) -> None:
    watched.store.put_job(job_body("hourly-1", uid="new", version=20))
    watched.store.remove_job(job_body("hourly-1", uid="old", version=10))
    assert [job.uid for job in watched.store.jobs(HOURLY)] == ["new"]


def test_a_list_removes_jobs_that_it_lacks_unless_they_are_newer(watched: Watched) -> None:
    for name, version in (("hourly-1", 10), ("hourly-2", 11), ("hourly-3", 12), ("hourly-4", 13)):
        watched.store.put_job(job_body(name, uid=name, version=version))
    watched.changed.clear()
    watched.store.keep_jobs(["hourly-1"], 12)
    assert [job.name for job in watched.store.jobs(HOURLY)] == ["hourly-1", "hourly-4"]
    assert watched.changed == [HOURLY, HOURLY]


def test_a_list_removes_schedules_that_it_lacks_unless_they_are_newer(watched: Watched) -> None:
    for name, version in (("a", 10), ("b", 11), ("c", 12)):
        body = versioned(version)
        body["metadata"]["name"] = name
        watched.store.put_schedule(body)
    watched.changed.clear()
    watched.store.keep_schedules([Key("default", "a")], 11)
    assert watched.changed == [Key("default", "b")]
    assert watched.store.keys() == [Key("default", "a"), Key("default", "c")]
