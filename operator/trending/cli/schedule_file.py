"""A TrendingSchedule in a file, checked as the API server would check it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from trending.api.names import API_VERSION, KIND
from trending.api.spec import TrendingScheduleSpec

if TYPE_CHECKING:
    import yaml

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


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
    document = read_schedule_object(path)
    metadata = document["metadata"]
    try:
        spec = TrendingScheduleSpec.model_validate(document.get("spec"))
    except ValidationError as error:
        raise ScheduleFileError("\n".join(f"{path}: {sentence}" for sentence in told(error, "spec"))) from None
    return ScheduleFile(name=metadata["name"], namespace=str(metadata.get("namespace") or "default"), spec=spec)


def read_schedule_object(path: Path) -> dict[str, Any]:
    """Read a file with one named TrendingSchedule, whose spec is not looked at. Raises ScheduleFileError."""
    document = read_object(path)
    if document.get("apiVersion") != API_VERSION or document.get("kind") != KIND:
        what = f"apiVersion {document.get('apiVersion')!r} and kind {document.get('kind')!r}"
        raise ScheduleFileError(f"{path} has {what}: a schedule has apiVersion: {API_VERSION} and kind: {KIND}")
    unknown = sorted(set(document) - {"apiVersion", "kind", "metadata", "spec", "status"})
    if unknown:
        raise ScheduleFileError(f"{path}: unknown field {unknown[0]!r}; fields of a schedule stand under spec")
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise ScheduleFileError(f"{path}: metadata.name is missing: write metadata: {{name: hourly}}")
    for field in ("labels", "annotations"):
        if not _is_of_strings(metadata.get(field) or {}):
            raise ScheduleFileError(f"{path}: metadata.{field} is a map of strings: write numbers in quotes")
    return document


def _is_of_strings(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values())


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
    """Read a file with one object in YAML or JSON, as the API server would get it. Raises ScheduleFileError."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        documents = [each for each in yaml.load_all(text, _loader()) if each is not None]
    except OSError as error:
        raise ScheduleFileError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScheduleFileError(f"{path} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise ScheduleFileError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if len(documents) != 1:
        raise ScheduleFileError(f"{path} holds {len(documents)} documents: give a file with one")
    if not isinstance(documents[0], dict):
        raise ScheduleFileError(f"{path} holds no object: give a file with one")
    try:
        document: dict[str, Any] = json.loads(json.dumps(documents[0]))
    except (TypeError, ValueError) as error:
        raise ScheduleFileError(f"{path} holds what JSON has no word for: {error}") from None
    return document


def _loader() -> type[yaml.SafeLoader]:
    """Return a loader that takes what looks like a time for text, as kubectl does: the API's own times are text."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012 (as the library has it)
            first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader
