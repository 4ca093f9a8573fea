"""Brings up a real Kubernetes cluster for the tests and the demonstration, on any machine where that is possible.

From Python: `up()`, `environment()`, `load_image(tag)`, `build_image()`, `postgres_image()`, `down()`.
From a shell: `python -m tests.cluster --help`.
"""

from tests.cluster.errors import ClusterError
from tests.cluster.verbs import build_image, down, environment, load_image, postgres_image, purge, up

__all__ = ["ClusterError", "build_image", "down", "environment", "load_image", "postgres_image", "purge", "up"]
