"""A TrendingSchedule in a file, checked as the API server would check it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from trending.api.instant import parse_instant
from trending.api.names import API_VERSION, KIND
from trending.api.spec import TrendingScheduleSpec

FILE_HELP: Final = "A file with one TrendingSchedule; - is standard input."
_STANDARD_INPUT: Final = Path("-")
_TEXTS: Final = ("namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_MAPS: Final = ("labels", "annotations")


class ScheduleFileError(ValueError):
    """A file that holds no valid schedule; its text is a sentence or, where several things are wrong, one a line."""


@dataclass(frozen=True, kw_only=True)
class ScheduleFile:
    """What a run needs of a TrendingSchedule."""

    name: str
    namespace: str
    spec: TrendingScheduleSpec


def read_schedule_file(path: Path) -> ScheduleFile:
    """Read a file with one TrendingSchedule in YAML or JSON. Raises ScheduleFileError, which names the field."""
    return schedule_of(read_schedule_object(path), path)


def schedule_of(document: Mapping[str, Any], path: Path) -> ScheduleFile:
    """Take a schedule from the object that a file holds. Raises ScheduleFileError, which names the field."""
    metadata = document["metadata"]
    try:
        spec = TrendingScheduleSpec.model_validate(document.get("spec"))
    except ValidationError as error:
        raise ScheduleFileError("\n".join(f"{named(path)}: {each}" for each in told(error, "spec"))) from None
    return ScheduleFile(name=metadata["name"], namespace=metadata.get("namespace") or "default", spec=spec)


def read_schedule_object(path: Path) -> dict[str, Any]:
    """Read a file with one named TrendingSchedule, whose spec is not looked at. Raises ScheduleFileError."""
    document, file = read_object(path), named(path)
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        what = f"apiVersion {document.get('apiVersion')!r} and kind {document.get('kind')!r}"
        raise ScheduleFileError(f"{file} has {what}: a schedule has apiVersion: {API_VERSION} and kind: {KIND}")
    unknown = sorted(set(document) - {"apiVersion", "kind", "metadata", "spec", "status"})
    if unknown:
        raise ScheduleFileError(f"{file}: unknown field {unknown[0]!r}; fields of a schedule stand under spec")
    try:
        metadata = _metadata(document.get("metadata"))
    except ValueError as error:
        raise ScheduleFileError(f"{file}: {error}") from None
    return {**document, "metadata": metadata}


def _metadata(given: Any) -> dict[str, Any]:
    """Return metadata without what is null, which is as good as absent. Raises ValueError, which names the field."""
    metadata = {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
    if not metadata.get("name"):
        raise ValueError("metadata.name is missing: write metadata: {name: hourly}")
    texts = {f"metadata.{key}": metadata[key] for key in ("name", *_TEXTS) if key in metadata}
    for key in _MAPS:
        if not isinstance(inner := metadata.get(key, {}), dict):
            raise ValueError(f"metadata.{key} has to be an object")  # noqa: TRY004 (a file that is wrong, not a program)
        texts |= {f"metadata.{key}.{name}": value for name, value in inner.items()}
    for place, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"{place} has to be a text: write {value!r} in quotes")  # noqa: TRY004 (as above)
    if "creationTimestamp" in metadata:
        try:
            parse_instant(metadata["creationTimestamp"])
        except ValueError as error:
            raise ValueError(f"metadata.creationTimestamp: {error}") from None
    return metadata


def told(error: ValidationError, root: str) -> list[str]:
    """Return a sentence for each thing that is wrong, beginning with the path of the field below `root`."""
    return list(dict.fromkeys(_sentence(each, root) for each in error.errors(include_url=False, include_input=False)))


def _sentence(error: Any, root: str) -> str:
    path = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    if error["type"] == "missing":
        return f"{path} is missing"
    if error["type"] == "extra_forbidden":
        return f"{path}: there is no such field"
    if error["type"] == "model_type":
        return f"{path} is no object: write its fields below it"
    return f"{path}: {error['msg'].removeprefix('Value error, ')}"


def read_object(path: Path) -> dict[str, Any]:
    """Read a file, or standard input for `-`, with one object in YAML or JSON. Raises ScheduleFileError."""
    from trending.cli.json_yaml import read_documents

    file = named(path)
    try:
        data = sys.stdin.buffer.read() if path == _STANDARD_INPUT else path.read_bytes()
        documents = read_documents(data.decode())
    except OSError as error:
        raise ScheduleFileError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScheduleFileError(f"{file} is not UTF-8 text") from None
    except ValueError as error:
        raise ScheduleFileError(f"{file} {error}") from None
    if len(documents) != 1:
        raise ScheduleFileError(f"{file} holds {len(documents)} documents: give a file with one")
    if not isinstance(documents[0], dict):
        raise ScheduleFileError(f"{file} holds no object: give a file with one")
    return documents[0]


def named(path: Path) -> str:
    """Return what a file is called in a sentence."""
    return "standard input" if path == _STANDARD_INPUT else str(path)
