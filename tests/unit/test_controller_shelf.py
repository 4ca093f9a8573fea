"""Schedules as they are kept: as JSON, the ones used last ready to hand, and the same to whoever reads them."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.kube import schedule_body
from trending.controller.kube import JsonObject
from trending.controller.shelf import Key, Shelf
from trending.schedule.observed import Schedule


def body(name: str, **spec: Any) -> JsonObject:
    made = schedule_body(status={"lastHandledRequest": name, "observedGeneration": 1}, **spec)
    made["metadata"] |= {"name": name, "uid": f"uid of {name}", "annotations": {"trending.dev/requestedAt": "now"}}
    made["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    return made


@pytest.fixture
def shelf() -> Shelf:
    made = Shelf(ready=2)
    for number, name in enumerate("dcba"):
        made.put(Key("default", name), number, body(name))
    return made


def test_what_is_no_longer_ready_to_hand_is_read_as_it_was_put(shelf: Shelf) -> None:
    for name in "abcd":
        assert shelf.get(Key("default", name)) == Schedule.from_object(body(name))


def test_one_that_is_being_deleted_stays_so() -> None:
    shelf, gone = Shelf(ready=0), body("a")
    gone["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    shelf.put(Key("default", "a"), 1, gone)
    found = shelf.get(Key("default", "a"))
    assert found
    assert found.deleting


def test_only_the_ones_used_last_are_ready_to_hand(shelf: Shelf) -> None:
    assert [key.name for key in shelf._ready] == ["b", "a"]
    first = shelf.get(Key("default", "b"))
    shelf.get(Key("default", "d"))
    assert shelf.get(Key("default", "b")) is first
    assert [key.name for key in shelf._ready] == ["d", "b"]


def test_each_yields_all_in_the_order_of_their_keys_and_leaves_what_is_ready(shelf: Shelf) -> None:
    assert [schedule.name for schedule in shelf.each()] == ["a", "b", "c", "d"]
    assert [key.name for key in shelf._ready] == ["b", "a"]


def test_a_newer_one_takes_the_place_of_the_older(shelf: Shelf) -> None:
    shelf.put(Key("default", "a"), 9, body("a", suspend=True))
    found = shelf.get(Key("default", "a"))
    assert found
    assert found.spec.suspend
    assert (len(shelf), shelf.version(Key("default", "a"))) == (4, 9)


def test_one_that_cannot_be_read_is_not_kept_nor_is_what_was_there(shelf: Shelf) -> None:
    with pytest.raises(ValidationError):
        shelf.put(Key("default", "a"), 9, body("a", suspend="perhaps"))
    assert shelf.get(Key("default", "a")) is None
    assert shelf.version(Key("default", "a")) == -1


def test_one_that_is_discarded_is_gone(shelf: Shelf) -> None:
    shelf.discard(Key("default", "a"))
    shelf.discard(Key("default", "a"))
    assert (shelf.get(Key("default", "a")), shelf.uid(Key("default", "a")), len(shelf)) == (None, None, 3)
    assert Key("default", "a") not in shelf


def test_which_are_asked_for_a_run_is_known_without_making_them_anew(shelf: Shelf) -> None:
    handled = body("b")
    handled["status"]["lastHandledRequest"] = "now"
    shelf.put(Key("default", "b"), 9, handled)
    plain = body("c")
    del plain["metadata"]["annotations"]
    shelf.put(Key("default", "c"), 9, plain)
    assert [name for name in "abcde" if shelf.is_asked(Key("default", name))] == ["a", "d"]
