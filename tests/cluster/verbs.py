"""What can be asked of this package, from Python as from the command line."""

from __future__ import annotations

import shutil
import time

from tests.cluster import base_images, engine, engine_stop, kind, operator_image
from tests.cluster.cache import StepCache
from tests.cluster.console import say
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders
from tests.cluster.lock import exclusive


def up() -> None:
    """Bring the cluster up, or find it up and healthy; checks it either way; raises ClusterError."""
    folders, cache = _here()
    start = time.monotonic()
    with exclusive(folders.lock):
        docker = engine.find_or_start(folders, cache)
        if not kind.answers(folders, docker):
            say(
                "No healthy cluster is up: it is made now. From bare this takes 15 minutes; with a warm cache 1 minute."
            )
            kind.create(engine=docker, folders=folders, cache=cache)
        kind.self_check(engine=docker, folders=folders, cache=cache)
    say(f"The cluster {kind.CLUSTER} is up and healthy ({time.monotonic() - start:.1f} s)")


def environment() -> dict[str, str]:
    """Return PATH, KUBECONFIG and what else kubectl, helm, kind and docker need; raises ClusterError with none up."""
    folders, _ = _here()
    docker = engine.find(folders)
    if docker is None or not folders.kubeconfig.exists():
        raise ClusterError("No cluster is up: run `make cluster` first")
    return kind.environment(folders, docker)


def load_image(*tags: str) -> None:
    """Put images of the engine into the cluster's node; raises ClusterError."""
    folders, cache = _here()
    with exclusive(folders.lock):
        kind.load(*tags, engine=engine.find_or_start(folders, cache), folders=folders)


def build_image(tag: str = operator_image.TAG) -> str:
    """Build the operator's image from this checkout; returns its tag; raises ClusterError."""
    folders, cache = _here()
    with exclusive(folders.lock):
        docker = engine.find_or_start(folders, cache)
        return operator_image.build(tag, engine=docker, folders=folders, cache=cache)


def postgres_image() -> str:
    """Provide the image of PostgreSQL 15 for the cluster; returns its tag; raises ClusterError."""
    folders, cache = _here()
    with exclusive(folders.lock):
        docker = engine.find_or_start(folders, cache)
        return base_images.postgres_image(engine=docker, folders=folders, cache=cache)


def down() -> None:
    """Remove the cluster and all that `up` brought to this machine, less the cache; raises ClusterError."""
    folders, _ = _here()
    with exclusive(folders.lock):
        docker = engine.find(folders)
        if docker:
            kind.delete(engine=docker, folders=folders)
        engine_stop.stop(folders, docker)
        shutil.rmtree(folders.state, ignore_errors=True)
        shutil.rmtree(folders.work, ignore_errors=True)
    if folders.steps.exists():
        say(
            f"Nothing is left but the cache of built steps, {folders.steps}; `python -m tests.cluster purge` removes it"
        )


def purge() -> None:
    """Remove the cache of built steps; raises ClusterError while a cluster is up."""
    folders, _ = _here()
    if folders.state.exists():
        raise ClusterError("The cluster's programs lie in the cache: run `make cluster-down` first")
    with exclusive(folders.lock):
        shutil.rmtree(folders.steps, ignore_errors=True)
        shutil.rmtree(folders.work, ignore_errors=True)
    say(f"Removed {folders.steps}; Go's own build cache stays (`go clean -cache` removes it)")


def _here() -> tuple[Folders, StepCache]:
    folders = Folders.from_environment()
    return folders, StepCache(folders.steps)
