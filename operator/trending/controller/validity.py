"""What makes a spec unacceptable that neither the API server nor its schedule tells."""

from collections.abc import Mapping
from itertools import combinations
from typing import Final

from trending.api.document import MAX_DOCUMENT_BYTES, MAX_USER_ANNOTATION_BYTES
from trending.api.spec import Target
from trending.controller.manifests import run_document
from trending.presets import PresetError, load_preset
from trending.schedule.decision import Refusal
from trending.schedule.observed import Schedule

_KIB: Final = 1024

Slice = Mapping[str, tuple[str, ...]]
"""Columns with the values that the rows of a slice have in them."""


class Refusals:
    """What was found of each schedule's spec, which is looked at once and not at each pass."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[str, int, Refusal | None]] = {}

    def of(self, schedule: Schedule) -> Refusal | None:
        """Return why a schedule cannot be accepted; None where it can."""
        key = (schedule.namespace, schedule.name)
        uid, generation, refusal = self._found.get(key, ("", -1, None))
        if (uid, generation) != (schedule.uid, schedule.generation):
            refusal = refusal_of(schedule)
            self._found[key] = (schedule.uid, schedule.generation, refusal)
        return refusal

    def forget(self, namespace: str, name: str) -> None:
        """Forget a schedule that is gone."""
        self._found.pop((namespace, name), None)


def refusal_of(schedule: Schedule) -> Refusal | None:
    """Return why a schedule cannot be accepted: an unknown preset, targets that overlap, a spec too large to hand to
    a run."""
    places: list[tuple[str, str, Slice]] = []
    for target in schedule.spec.rewrite:
        try:
            table, slice_ = _place(target)
        except PresetError as error:
            return Refusal(reason="UnknownPreset", message=f"target {target.name}: {error}")
        places.append((target.name, table, slice_))
    for (one, table, mine), (other, others_table, theirs) in combinations(places, 2):
        if table == others_table and _overlap(mine, theirs):
            message = (
                f"targets {one} and {other} rewrite the same rows of {table}, and the one would undo the other's work: "
                "give them slices that share no row"
            )
            return Refusal(reason="OverlappingSlices", message=message)
    return _too_large(schedule)


def _place(target: Target) -> tuple[str, Slice]:
    if target.preset:
        preset = load_preset(target.preset.name, target.preset.time_ranges)
        return preset.table, preset.slice
    return target.table or "", {column: tuple(values) for column, values in (target.slice or {}).items()}


def _overlap(one: Slice, other: Slice) -> bool:
    """Tell whether a row may lie in both: unless a column that both name has no value in common, it may."""
    return all(set(one[column]) & set(other[column]) for column in one.keys() & other.keys())


def _too_large(schedule: Schedule) -> Refusal | None:
    longest_name = f"{schedule.name}-m12345678"
    document = run_document(
        schedule, job=longest_name, trigger="Schedule", scheduled_time=schedule.created, now=schedule.created
    )
    size = len(document.encode())
    if size > MAX_DOCUMENT_BYTES:
        message = (
            "a run is handed the whole spec, and this one is too large: "
            f"{-(-size // _KIB)} KiB of at most {MAX_DOCUMENT_BYTES // _KIB}; "
            "shorten the queries, or move targets to a second schedule"
        )
        return Refusal(reason="SpecTooLarge", message=message)
    template = schedule.spec.template
    annotations = (template and template.metadata and template.metadata.annotations) or {}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > MAX_USER_ANNOTATION_BYTES:
        message = (
            "spec.template.metadata.annotations are too large: "
            f"{-(-size // _KIB)} KiB of at most {MAX_USER_ANNOTATION_BYTES // _KIB}; remove what runs' pods do not need"
        )
        return Refusal(reason="SpecTooLarge", message=message)
    return None
