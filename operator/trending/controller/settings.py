"""What the controller is told by its environment; the chart sets it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the controller works."""

    run_image: str
    """The image of runs' pods: TRENDING_RUN_IMAGE."""
    run_image_pull_policy: PullPolicy = "IfNotPresent"
    """How nodes get it: TRENDING_RUN_IMAGE_PULL_POLICY."""
    instance: str = "trending-operator"
    """Which controller reports an event: the pod's name, POD_NAME."""
    health_port: int = 8080
    """Where /healthz answers: TRENDING_HEALTH_PORT."""
    metrics_port: int = 8081
    """Where /metrics answers: TRENDING_METRICS_PORT."""
    resync_seconds: float = 300.0
    """How often everything is listed anew: a watch that lost an event is repaired by then."""
    workers: int = 32
    """How many schedules are looked at side by side: more only makes the API server queue them."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Raises ValueError, whose text names the variable, where one is missing or wrong."""
        image = environment.get("TRENDING_RUN_IMAGE", "")
        if not image:
            raise ValueError("TRENDING_RUN_IMAGE is not set: it names the image of runs' pods; the chart sets it")
        policy = environment.get("TRENDING_RUN_IMAGE_PULL_POLICY") or cls.run_image_pull_policy
        if policy not in get_args(PullPolicy):
            known = ", ".join(get_args(PullPolicy))
            raise ValueError(f"TRENDING_RUN_IMAGE_PULL_POLICY is {policy!r}: write one of {known}")
        return cls(
            run_image=image,
            run_image_pull_policy=cast("PullPolicy", policy),
            instance=environment.get("POD_NAME") or cls.instance,
            health_port=int(environment.get("TRENDING_HEALTH_PORT") or cls.health_port),
            metrics_port=int(environment.get("TRENDING_METRICS_PORT") or cls.metrics_port),
        )
