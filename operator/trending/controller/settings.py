"""What the controller is told by its environment; the chart sets it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args
from uuid import uuid4

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""As Kubernetes names them (RFC 1123)."""
_LARGEST_PORT: Final = 65_535

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the controller works."""

    run_image: str
    """The image of runs' pods: TRENDING_RUN_IMAGE."""
    run_image_pull_policy: PullPolicy = "IfNotPresent"
    """How nodes get it: TRENDING_RUN_IMAGE_PULL_POLICY."""
    instance: str = "trending-operator"
    """Which controller this is, in events and in the election: the pod's name, POD_NAME.

    A container that is started anew in its pod goes on with the Lease of the one before it, which is gone for certain.
    """
    health_port: int = 8080
    """Where /healthz and /readyz answer: TRENDING_HEALTH_PORT."""
    metrics_port: int = 8081
    """Where /metrics answers: TRENDING_METRICS_PORT."""
    watch_namespaces: tuple[str, ...] = ()
    """The namespaces whose schedules are served, all where there are none: TRENDING_WATCH_NAMESPACES, with commas."""
    leader_election: bool = False
    """Whether several controllers elect one that leads: TRENDING_LEADER_ELECTION."""
    namespace: str = ""
    """Where the controller runs, and its Lease is: POD_NAMESPACE."""
    lease_name: str = "trending-operator"
    """What the Lease is called: TRENDING_LEASE_NAME."""
    resync_seconds: float = 300.0
    """How often everything is listed anew: a watch that lost an event is repaired by then."""
    workers: int = 64
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
        namespace = environment.get("POD_NAMESPACE", "")
        leader_election = _switch(environment, "TRENDING_LEADER_ELECTION")
        if leader_election and not namespace:
            raise ValueError("POD_NAMESPACE is not set: it names the namespace of the Lease; the chart sets it")
        return cls(
            run_image=image,
            run_image_pull_policy=cast("PullPolicy", policy),
            instance=environment.get("POD_NAME")
            or (f"{cls.instance}-{uuid4().hex[:8]}" if leader_election else cls.instance),
            health_port=_port(environment, "TRENDING_HEALTH_PORT", cls.health_port),
            metrics_port=_port(environment, "TRENDING_METRICS_PORT", cls.metrics_port),
            watch_namespaces=_namespaces(environment.get("TRENDING_WATCH_NAMESPACES", "")),
            leader_election=leader_election,
            namespace=namespace,
            lease_name=environment.get("TRENDING_LEASE_NAME") or cls.lease_name,
        )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "false"
    if value not in ("true", "false"):
        raise ValueError(f"{name} is {value!r}: write true or false")
    return value == "true"


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not re.fullmatch(r"[0-9]{1,5}", value) or int(value) > _LARGEST_PORT:
        raise ValueError(f"{name} is {value!r}: write a port's number, such as {default}")
    return int(value)


def _namespaces(value: str) -> tuple[str, ...]:
    """Read a list of namespaces; each counts once, in the order of the list."""
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise ValueError(
                f"TRENDING_WATCH_NAMESPACES names {name!r}, which is no namespace's name: "
                "write names with commas between them, without patterns, or nothing for all namespaces"
            )
    return tuple(dict.fromkeys(names))
