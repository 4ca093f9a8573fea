"""Specs that neither the API server nor the schedule refuses, but the controller has to."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.kube import own_target, schedule_body
from trending.api.document import MAX_DOCUMENT_BYTES, MAX_USER_ANNOTATION_BYTES
from trending.controller.manifests import run_document
from trending.controller.validity import Refusals, refusal_of
from trending.schedule.decision import Refusal
from trending.schedule.observed import Schedule


def schedule(**spec: Any) -> Schedule:
    return Schedule.from_object(schedule_body(**spec))


def preset(name: str, *time_ranges: str, of: str = "audius/tracks-pnagD") -> dict[str, Any]:
    return {"name": name, "preset": {"name": of, "timeRanges": list(time_ranges)}}


def refused(**spec: Any) -> Refusal:
    refusal = refusal_of(schedule(**spec))
    assert refusal is not None
    return refusal


def test_an_ordinary_spec_is_accepted() -> None:
    assert refusal_of(schedule()) is None


def test_an_unknown_preset_is_told_with_the_ones_there_are() -> None:
    refusal = refused(rewrite=[preset("mine", "week", of="audius/tracks")])
    assert refusal.reason == "UnknownPreset"
    assert refusal.message.startswith("target mine: There is no preset 'audius/tracks'; the presets are: ")


def test_a_time_range_that_the_preset_lacks_is_told_with_the_ones_it_has() -> None:
    seen = schedule(rewrite=[preset("mine", "week")])
    [target] = seen.spec.rewrite
    assert target.preset is not None
    yearly = target.model_copy(update={"preset": target.preset.model_copy(update={"time_ranges": ["year"]})})
    refusal = refusal_of(replace(seen, spec=seen.spec.model_copy(update={"rewrite": (yearly,)})))
    assert refusal is not None
    assert refusal.reason == "UnknownPreset"
    assert "has no time range 'year'; it has: week, month, allTime" in refusal.message


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param([preset("a", "week"), preset("b", "week", "month")], id="presets that share a time range"),
        pytest.param([own_target("a"), own_target("b")], id="the whole table twice"),
        pytest.param([own_target("a"), own_target("b", board=["x"])], id="the whole table and a part of it"),
        pytest.param([own_target("a", board=["x", "y"]), own_target("b", board=["y"])], id="a common value"),
        pytest.param([own_target("a", board=["x"]), own_target("b", kind=["y"])], id="different columns"),
        pytest.param(
            [own_target("a", board=["x"], kind=["k"]), own_target("b", board=["x"])], id="one is a part of the other"
        ),
        pytest.param(
            [preset("a", "week"), own_target("b", table="track_trending_scores", version=["pnagD"])],
            id="a preset and an own slice of its table",
        ),
        pytest.param(
            [own_target("x", table="other"), own_target("a", board=["x"]), own_target("b", board=["x"])],
            id="two of three",
        ),
    ],
)
def test_targets_that_share_rows_are_refused(targets: list[dict[str, Any]]) -> None:
    refusal = refused(rewrite=targets)
    assert refusal.reason == "OverlappingSlices"
    assert refusal.message.startswith("targets a and b rewrite the same rows of ")


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param([preset("a", "week"), preset("b", "month")], id="presets of different time ranges"),
        pytest.param([own_target("a", board=["x"]), own_target("b", board=["y"])], id="different values"),
        pytest.param([own_target("a"), own_target("b", table="cold")], id="different tables"),
        pytest.param(
            [own_target("a", board=["x"], kind=["k"]), own_target("b", board=["x"], kind=["l"])],
            id="one column of two tells them apart",
        ),
        pytest.param(
            [preset("a", "week"), own_target("b", table="track_trending_scores", version=["own"])],
            id="a preset and a version of one's own",
        ),
    ],
)
def test_targets_that_share_no_row_are_accepted(targets: list[dict[str, Any]]) -> None:
    assert refusal_of(schedule(rewrite=targets)) is None


def with_document_of(size: int) -> Schedule:
    """Build a schedule whose longest run document has so many bytes, most of them an é's."""

    def sized(rest: int) -> Schedule:
        targets = []
        for number in range(24):
            length = min(16_000, max(0, rest))
            rest -= length
            query = "SELECT 'é" + "é" * (length // 2) + "x" * (length % 2) + "'"
            targets.append(own_target(f"t{number:02}", board=[str(number)], query=query))
        return schedule(rewrite=targets)

    seen = sized(0)
    overhead = len(
        run_document(
            seen,
            job=f"{seen.name}-m12345678",
            trigger="Schedule",
            scheduled_time=seen.created,
            now=seen.created,
        ).encode()
    )
    return sized(size - overhead)


def test_a_document_that_just_fits_is_accepted_and_one_byte_more_is_not() -> None:
    assert refusal_of(with_document_of(MAX_DOCUMENT_BYTES)) is None
    refusal = refusal_of(with_document_of(MAX_DOCUMENT_BYTES + 1))
    assert refusal is not None
    assert refusal.reason == "SpecTooLarge"
    assert "193 KiB of at most 192; shorten the queries" in refusal.message


def test_annotations_that_just_fit_are_accepted_and_one_byte_more_is_not() -> None:
    key = "éé"  # four bytes
    fits = "x" * (MAX_USER_ANNOTATION_BYTES - 4)
    assert refusal_of(schedule(template={"metadata": {"annotations": {key: fits}}})) is None
    refusal = refused(template={"metadata": {"annotations": {key: fits + "x"}}})
    assert refusal.reason == "SpecTooLarge"
    assert "spec.template.metadata.annotations are too large: 17 KiB of at most 16" in refusal.message


def test_a_spec_is_checked_once_and_again_when_it_is_edited_or_the_object_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = []

    def check(seen: Schedule) -> Refusal | None:
        checked.append((seen.uid, seen.generation))
        return refusal_of(seen)

    monkeypatch.setattr("trending.controller.validity.refusal_of", check)
    refusals = Refusals()
    wrong, right = schedule(rewrite=[preset("mine", "week", of="none")]), replace(schedule(), generation=2)
    for seen in (wrong, wrong, right, right, replace(right, uid="another")):
        assert (refusals.of(seen) is None) == (seen is not wrong)
    assert checked == [("u1", 1), ("u1", 2), ("another", 2)]
    refusals.forget("default", "hourly")
    assert refusals._found == {}
