"""A run's pods in sentences: what keeps one from running, how one ended.

The words are those of pod conditions (core/v1, DisruptionTarget's reasons included) and of the kubelet's container
states. Those that change while nothing does, such as ErrImagePull and ImagePullBackOff, are told in the same words.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trending.api.instant import parse_instant
from trending.api.names import RUN_CONTAINER
from trending.report import read_termination_message

Pod = Mapping[str, Any]

_LONGEST_QUOTE: Final = 400
_NO_IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_NO_CONTAINER: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "RunContainerError",
    }
)
_NOT_STARTED: Final = frozenset({"StartError", "ContainerCannotRun"})
_DISRUPTIONS: Final = {
    "PreemptionByScheduler": "it made way for one of higher priority (spec.template.spec.priorityClassName)",
    "DeletionByTaintManager": "its node does not answer, or may no longer run it (a NoExecute taint)",
    "DeletionByPodGC": "its node is gone",
    "EvictionByEvictionAPI": "it was evicted, as when a node is drained",
    "TerminationByKubelet": "its node ended it, being short of something or shutting down",
}


def by_age(pods: Sequence[Pod]) -> list[Pod]:
    """Return pods in the order of their creation; a container that was lost with its node has no time of its end."""
    return sorted(pods, key=created)


def created(pod: Pod) -> str:
    """Return when a pod was created, as the API writes it, which sorts; empty where it does not say."""
    return str((pod.get("metadata") or {}).get("creationTimestamp") or "")


def has_ended(pod: Pod) -> bool:
    """Tell whether a pod has run to its end, or will never run."""
    return _status(pod).get("phase") in ("Succeeded", "Failed") or termination_of(pod) is not None


def has_succeeded(pod: Pod) -> bool:
    """Tell whether a pod's run has come to a good end, also where another container goes on in the pod."""
    return _status(pod).get("phase") == "Succeeded" or (termination_of(pod) or {}).get("exitCode") == 0


def termination_of(pod: Pod) -> Mapping[str, Any] | None:
    """Return how the run's container ended, as the kubelet says it; None where it has not."""
    ended: Mapping[str, Any] | None = (_container(pod).get("state") or {}).get("terminated")
    return ended


def why_not_running(pod: Pod) -> str | None:
    """Return in a clause what keeps a pod that has not ended from running; None where it says nothing of it."""
    if is_taken_away(pod):
        if disruption := _disruption(pod):
            return f"its pod is being taken away: {disruption}; another one follows once it has ended"
        return "its pod is being deleted by somebody"
    scheduled, ready = _condition(pod, "PodScheduled"), _condition(pod, "Ready")
    if scheduled.get("status") == "False":
        if scheduled.get("reason") == "SchedulingGated":
            return "its pod is held by a scheduling gate, which is not the operator's"
        return f"no node can take its pod: {_placement(scheduled)}"
    state = _container(pod).get("state") or {}
    if waiting := state.get("waiting"):
        return _why_waiting(pod, str(waiting.get("reason") or ""), str(waiting.get("message") or ""))
    if "running" in state and ready.get("status") == "False" and not ready.get("reason"):
        # The kubelet gives a reason; the node lifecycle controller, which says it of all pods of a lost node, does not.
        return f"its pod runs on node {_node(pod)}, which does not answer"
    return None


def why_not_over(pod: Pod) -> str | None:
    """Return in a clause what keeps a pod from its end whose run has ended; None where nothing says."""
    statuses = _status(pod).get("containerStatuses") or []
    others = [each.get("name") for each in statuses if "running" in (each.get("state") or {})]
    return f"it has run to its end, and container {others[0]} of the pod goes on" if others else None


def is_taken_away(pod: Pod) -> bool:
    """Tell whether a pod is being deleted, or is about to be, by somebody else than the run's own end."""
    return _disruption(pod) is not None or "deletionTimestamp" in (pod.get("metadata") or {})


def is_being_made(pod: Pod) -> bool:
    """Tell whether a node has taken a pod and its container does not run yet."""
    placed = "nodeName" in (pod.get("spec") or {})
    return placed and "running" not in (_container(pod).get("state") or {})


def newest_warning(events: Sequence[Mapping[str, Any]], *, since: datetime | None = None) -> str | None:
    """Return what the newest of some events says, on one line; None where there is none since then."""
    dated = [(str(event.get("lastTimestamp") or event.get("firstTimestamp") or ""), event) for event in events]
    recent = [pair for pair in dated if since is None or (pair[0] and parse_instant(pair[0]) >= since)]
    if not recent:
        return None
    _, newest = max(recent, key=lambda pair: pair[0])
    return quote(newest.get("message")) or None


def who_took(pod: Pod) -> str | None:
    """Return in a clause who took a pod away that did not end of itself; None where nothing tells of anybody."""
    disruption = _disruption(pod)
    return f"its pod was taken away: {disruption}" if disruption else None


def how_it_went(pod: Pod) -> str:
    """Return in a clause how a pod came to its end, or is about to, after which another one follows."""
    if taken := who_took(pod):
        return taken
    if "deletionTimestamp" in (pod.get("metadata") or {}):
        return "somebody deleted its pod"
    return how_it_ended(pod)


def how_it_ended(pod: Pod) -> str:
    """Return in a clause how a pod that has ended did."""
    end = termination_of(pod)
    if end and (report := read_termination_message(end.get("message"))):
        return quote(report.message)
    told = f"({end.get('reason') or 'Error'}, exit code {end.get('exitCode')})" if end else ""
    if end and end.get("reason") == "OOMKilled":
        limit = _memory_limit(pod)
        had = f"its {limit} of memory" if limit else "all memory that it could have"
        return f"its container was killed for using up {had} {told}: raise spec.template.spec.resources.limits.memory"
    if end and end.get("reason") in _NOT_STARTED:
        return f"its container could not be started {told}: {quote(end.get('message'))}"
    if taken := who_took(pod):
        return f"{taken} {told}".rstrip()
    if end:
        return f"its container ended without a report {told}"
    status = _status(pod)
    words = [str(status.get("reason") or ""), quote(status.get("message"))]
    return f"its pod never ran on node {_node(pod)}: {': '.join(filter(None, words)) or 'nothing says why'}"


def why_refused(message: str) -> str:
    """Return in a clause why the API server let no pod be made, from the Job controller's event of that.

    The pod's name, which is another each time, is left out.
    """
    text = message.removeprefix("Error creating: ")
    _, forbidden, why = text.partition(" is forbidden: ")
    return f"no pod may be made for it: {quote(why if forbidden else text)}"


def _why_waiting(pod: Pod, reason: str, message: str) -> str | None:
    image = str(_container(pod).get("image") or "")
    if reason in _NO_IMAGE:
        cause = message.rpartition(f"{reason}: ")[2]
        cause = cause.partition("ErrImagePull: ")[2] or cause
        return f"its image {image} cannot be pulled: {quote(cause)}"
    if reason in _NO_CONTAINER:
        return f"its container cannot be made ({reason}): {quote(message)}"
    return None


def _disruption(pod: Pod) -> str | None:
    """Return why somebody else takes a pod away or did; the node's own words, where it has some."""
    status, target = _status(pod), _condition(pod, "DisruptionTarget")
    if status.get("reason") in ("Evicted", "NodeShutdown", "Terminated"):
        return f"node {_node(pod)} evicted it: {quote(status.get('message'))}"
    if target.get("status") != "True":
        return None
    reason = str(target.get("reason") or "")
    if reason == "TerminationByKubelet" and target.get("message"):
        return f"node {_node(pod)} evicted it: {quote(target['message'])}"
    return _DISRUPTIONS.get(reason) or quote(target.get("message")) or reason


def _placement(scheduled: Mapping[str, Any]) -> str:
    """Return the scheduler's words without what it says of resource claims and preemption, which only repeats them."""
    words = str(scheduled.get("message") or "the scheduler does not say why")
    return quote(words.partition(" preemption: ")[0].removesuffix(" no new claims to deallocate,"))


def _memory_limit(pod: Pod) -> str | None:
    containers = (pod.get("spec") or {}).get("containers") or []
    found: Mapping[str, Any] = next((c for c in containers if c.get("name") == RUN_CONTAINER), {})
    limit: str | None = ((found.get("resources") or {}).get("limits") or {}).get("memory")
    return limit


def _status(pod: Pod) -> Mapping[str, Any]:
    return pod.get("status") or {}


def _container(pod: Pod) -> Mapping[str, Any]:
    statuses = _status(pod).get("containerStatuses") or []
    return next((status for status in statuses if status.get("name") == RUN_CONTAINER), {})


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    conditions = _status(pod).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _node(pod: Pod) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "unknown")


def quote(text: Any) -> str:
    """Return what another component said, on one line, without the stop at its end, not longer than people read."""
    words = " ".join(str(text or "").split()).rstrip(".")
    return words if len(words) <= _LONGEST_QUOTE else words[: _LONGEST_QUOTE - 1] + "…"
