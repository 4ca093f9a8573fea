"""The cache of steps: what is trusted, what is made again, and who waits for whom."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.cluster.cache import KEEP_SECONDS, MANIFEST, Step, StepCache, digest_of_tree
from tests.cluster.lock import exclusive


class Maker:
    """Fills a step's folder and counts how often it was asked to."""

    def __init__(self, text: str = "made") -> None:
        self.calls = 0
        self._text = text

    def __call__(self, into: Path) -> None:
        self.calls += 1
        (into / "deep").mkdir()
        (into / "deep" / "file").write_text(self._text)


STEP = Step(name="thing", inputs={"version": "1"})


def test_a_result_is_made_once_and_found_by_later_processes(tmp_path: Path) -> None:
    make = Maker()
    first = StepCache(tmp_path).build(STEP, make)
    again = StepCache(tmp_path).build(STEP, make)
    assert (first, make.calls) == (again, 1)
    assert (again / "deep" / "file").read_text() == "made"


@pytest.mark.parametrize("inputs", [{"version": "2"}, {"version": "1", "more": ""}, {}])
def test_any_change_of_the_inputs_is_another_result(inputs: dict[str, str], tmp_path: Path) -> None:
    make = Maker()
    cache = StepCache(tmp_path)
    assert cache.build(STEP, make) != cache.build(Step(name="thing", inputs=inputs), make)
    assert make.calls == 2


def test_the_order_of_the_inputs_does_not_matter() -> None:
    assert Step(name="a", inputs={"x": "1", "y": "2"}).key == Step(name="a", inputs={"y": "2", "x": "1"}).key


def _change(file: Path) -> None:
    file.write_text("made!"[1:])  # of the same length


def _cut(file: Path) -> None:
    file.write_text("ma")


def _remove(file: Path) -> None:
    file.unlink()


def _break_manifest(file: Path) -> None:
    (file.parents[1] / MANIFEST).write_text("{")


def _remove_manifest(file: Path) -> None:
    (file.parents[1] / MANIFEST).unlink()


@pytest.mark.parametrize("damage", [_change, _cut, _remove, _break_manifest, _remove_manifest])
def test_a_damaged_result_is_made_again_and_never_trusted(damage, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # one of the functions above
    make = Maker()
    damage(StepCache(tmp_path).build(STEP, make) / "deep" / "file")
    assert StepCache(tmp_path).get(STEP) is None
    again = StepCache(tmp_path).build(STEP, make)
    assert (make.calls, (again / "deep" / "file").read_text()) == (2, "made")


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(into: Path) -> None:
        (into / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        StepCache(tmp_path).build(STEP, fail)
    assert list(tmp_path.iterdir()) == []
    assert StepCache(tmp_path).get(STEP) is None


def test_the_manifest_says_what_the_result_was_made_from(tmp_path: Path) -> None:
    manifest = json.loads((StepCache(tmp_path).build(STEP, Maker()) / MANIFEST).read_text())
    assert manifest["inputs"] == {"version": "1"}
    assert manifest["files"]["deep/file"]["size"] == 4


def test_an_older_result_goes_once_nothing_has_asked_for_it_in_a_month(tmp_path: Path) -> None:
    newer = Step(name="thing", inputs={"version": "2"})
    other = Step(name="thing-else")
    for step in (STEP, other):
        old = StepCache(tmp_path).build(step, Maker()) / MANIFEST
        os.utime(old, (0, time.time() - KEEP_SECONDS - 60))
    StepCache(tmp_path).build(newer, Maker())
    assert not (tmp_path / STEP.key).exists()
    assert StepCache(tmp_path).get(newer)
    assert (tmp_path / other.key).exists(), "another step's result has its own time"


def test_an_older_result_that_another_checkout_uses_stays(tmp_path: Path) -> None:
    StepCache(tmp_path).build(STEP, Maker())
    StepCache(tmp_path).build(Step(name="thing", inputs={"version": "2"}), Maker())
    assert StepCache(tmp_path).get(STEP)


def test_the_digest_of_a_tree_sees_contents_names_and_executable_bits(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("1")
    seen = {digest_of_tree(root)}
    (root / "a").write_text("2")
    seen.add(digest_of_tree(root))
    (root / "a").rename(root / "b")
    seen.add(digest_of_tree(root))
    (root / "b").chmod(0o755)
    seen.add(digest_of_tree(root))
    assert len(seen) == 4


def test_the_digest_of_a_tree_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place / "root" / "__pycache__").mkdir(parents=True)
        (tmp_path / place / "root" / "a").write_text("1")
        (tmp_path / place / "root" / "__pycache__" / place).write_text("of no account")
    assert digest_of_tree(tmp_path / "here" / "root") == digest_of_tree(tmp_path / "there" / "root")


def _hold(path: Path, held: Event, release: Event) -> None:
    with exclusive(path, tell=lambda _: None):
        held.set()
        release.wait(10)


def test_a_second_process_waits_says_for_whom_and_then_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(path, held, release))
    other.start()
    assert held.wait(30)
    said: list[str] = []

    def tell(sentence: str) -> None:
        said.append(sentence)
        release.set()  # it can only end after we were found waiting

    with exclusive(path, tell=tell):
        assert path.read_text() == str(os.getpid())
    other.join(10)
    assert (other.exitcode, len(said)) == (0, 1)
    assert str(other.pid) in said[0]


def test_a_lock_whose_holder_died_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("999999999")
    said: list[str] = []
    with exclusive(path, tell=said.append):
        pass
    assert said == []
