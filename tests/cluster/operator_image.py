"""The operator's image."""

from __future__ import annotations

from tests.cluster.cache import StepCache
from tests.cluster.engine import Engine
from tests.cluster.folders import Folders

TAG = "trending-operator:dev"


def build(tag: str, *, engine: Engine, folders: Folders, cache: StepCache) -> str:
    raise NotImplementedError
