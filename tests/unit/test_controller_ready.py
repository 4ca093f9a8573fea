"""Whose turn it is: the most urgent first, and of equally urgent ones each namespace in its turn."""

from hypothesis import given
from hypothesis import strategies as st

from trending.controller.ready import Ready, Urgency
from trending.controller.store import Key


def key(text: str) -> Key:
    namespace, name = text.split("/")
    return Key(namespace, name)


def taken(ready: Ready) -> list[str]:
    names = []
    while found := ready.take():
        names.append("/".join(found))
    return names


def ready(*texts: str, urgency: Urgency = Urgency.DUE) -> Ready:
    queue = Ready()
    for text in texts:
        queue.put(key(text), urgency)
    return queue


def test_in_one_namespace_they_go_in_the_order_in_which_they_came_each_once() -> None:
    assert taken(ready("a/1", "a/2", "a/1", "a/3")) == ["a/1", "a/2", "a/3"]


def test_a_namespace_with_many_delays_another_by_one() -> None:
    assert taken(ready("a/1", "a/2", "a/3", "b/1", "c/1", "b/2")) == ["a/1", "b/1", "c/1", "a/2", "b/2", "a/3"]


def test_the_more_urgent_go_first_whatever_their_namespace() -> None:
    queue = ready("a/1", "a/2", urgency=Urgency.CHANGED)
    queue.put(key("b/1"), Urgency.DUE)
    queue.put(key("c/1"), Urgency.REQUESTED)
    queue.put(key("a/3"), Urgency.DUE)
    assert taken(queue) == ["c/1", "b/1", "a/3", "a/1", "a/2"]


def test_one_that_waits_becomes_more_urgent_and_never_less() -> None:
    queue = ready("a/1", "a/2", urgency=Urgency.CHANGED)
    queue.put(key("a/2"), Urgency.DUE)
    queue.put(key("a/2"), Urgency.CHANGED)
    assert queue.holds(Urgency.DUE)
    assert not queue.holds(Urgency.REQUESTED)
    assert taken(queue) == ["a/2", "a/1"]
    assert not queue.holds(Urgency.CHANGED)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from(Urgency))))
def test_whatever_is_put_is_taken_once(puts: list[tuple[str, str, Urgency]]) -> None:
    queue = Ready()
    for namespace, name, urgency in puts:
        queue.put(Key(namespace, name), urgency)
    wanted = {f"{namespace}/{name}" for namespace, name, _ in puts}
    assert len(queue) == len(wanted)
    names = taken(queue)
    assert sorted(names) == sorted(wanted)
    assert len(queue) == 0
