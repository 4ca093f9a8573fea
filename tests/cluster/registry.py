"""Whether images can be pulled: asked once a process, with a limit: a network that drops packets never says no."""

from __future__ import annotations

from functools import cache

from tests.cluster import state
from tests.cluster.console import step
from tests.cluster.engine import Engine
from tests.cluster.folders import Folders

SECONDS_TO_ANSWER = 20


def pull(image: str, *, engine: Engine, folders: Folders) -> bool:
    """Pull an image where its registry answers; returns whether the engine now holds it.

    Raises ClusterError where the registry answered and the pull broke.
    """
    if not _answers(image, tuple(engine.env.items())):
        return False
    with step(f"Pulling {image}", usually="20 to 60 s"):
        engine.run("pull", image, what=f"Pulling {image}", log=folders.logs / "pull.log")
    state.remember_pulled(folders, image)
    return True


@cache
def _answers(image: str, environment: tuple[tuple[str, str], ...]) -> bool:
    """Whether the image's manifest can be read."""
    engine = Engine(env=dict(environment), ours=False)
    return engine.docker("manifest", "inspect", image, timeout=SECONDS_TO_ANSWER) is not None
