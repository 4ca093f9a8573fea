"""YAML as Kubernetes reads it: another way to write JSON, which knows no times and no keys but texts."""

from __future__ import annotations

import json
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Leaves a time the text that it is: `2026-11-23` is a slice's value as good as any."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def read_documents(text: str) -> list[Any]:
    """Return the documents that hold something, as JSON would have them.

    Raises ValueError, whose text is one line, where the text is no YAML or holds what JSON cannot.
    """
    try:
        documents = [each for each in yaml.load_all(text, _Loader) if each is not None]
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:
        # Of a tag that does not suit its value (!!int x) and of a number with thousands of digits Python itself tells.
        raise ValueError(f"is not YAML: {' '.join(str(error).split())}") from None
    try:
        whole: list[Any] = json.loads(json.dumps(documents, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"holds what JSON has no word for: {error}") from None
    return whole
