"""The part of a pod that a user may shape: where runs are placed, what they may use, what they carry.

A closed subset of Kubernetes' PodSpec with its names and meanings. There is no service account, no volume and no
security context in it: these are the operator's promise of what a run can reach. What the API server would refuse of
a Job is refused of the schedule, as far as a pattern can tell: there somebody sees it.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from trending.api.model import ApiModel

LabelSelectorOperator = Literal["In", "NotIn", "Exists", "DoesNotExist"]
NodeSelectorOperator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
ObjectName = Annotated[
    str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
"""A DNS subdomain, as Kubernetes has it."""
_LARGEST_INT32: Final = 2**31 - 1


class LabelRequirement(ApiModel):
    """A label key, an operator and values."""

    key: str
    """The label's key."""
    operator: LabelSelectorOperator
    """How the values relate to the label's."""
    values: list[str] | None = None
    """Values for In and NotIn; empty otherwise."""


class LabelSelector(ApiModel):
    """Which pods or namespaces are meant, by their labels."""

    match_labels: dict[str, LabelValue] | None = None
    """Labels with the values they must have."""
    match_expressions: list[LabelRequirement] | None = None
    """Requirements that must all hold."""


class NodeRequirement(ApiModel):
    """A node label or field, an operator and values."""

    key: str
    """The label's or field's key."""
    operator: NodeSelectorOperator
    """How the values relate to the node's."""
    values: list[str] | None = None
    """Values for In, NotIn, Gt and Lt; empty otherwise."""


class NodeSelectorTerm(ApiModel):
    """Requirements on a node that must all hold."""

    match_expressions: list[NodeRequirement] | None = None
    """Requirements on the node's labels."""
    match_fields: list[NodeRequirement] | None = None
    """Requirements on the node's fields."""


class NodeSelector(ApiModel):
    """Terms of which a node must meet one."""

    node_selector_terms: list[NodeSelectorTerm]
    """The terms."""


class PreferredNode(ApiModel):
    """A wish for nodes, with its weight."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """How much the wish counts, 1 to 100."""
    preference: NodeSelectorTerm
    """The nodes wished for."""


class NodeAffinity(ApiModel):
    """Which nodes a run's pod needs or prefers."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pod needs."""
    preferred_during_scheduling_ignored_during_execution: list[PreferredNode] | None = None
    """Nodes that the pod prefers."""


class PodAffinityTerm(ApiModel):
    """Pods beside which (or away from which) to place a run, and what counts as beside."""

    topology_key: str
    """The node label whose value makes two nodes one place."""
    label_selector: LabelSelector | None = None
    """The pods meant."""
    namespaces: list[str] | None = None
    """Namespaces of these pods; this one by default."""
    namespace_selector: LabelSelector | None = None
    """Namespaces of these pods, by label."""


class WeightedPodAffinityTerm(ApiModel):
    """A wish for a place relative to other pods, with its weight."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """How much the wish counts, 1 to 100."""
    pod_affinity_term: PodAffinityTerm
    """The place wished for."""


class PodAffinity(ApiModel):
    """Where to place a run relative to other pods."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] | None = None
    """Places that the pod needs."""
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] | None = None
    """Places that the pod prefers."""


class Affinity(ApiModel):
    """Where a run's pod may or should be placed; as in a PodSpec."""

    node_affinity: NodeAffinity | None = None
    """Which nodes."""
    pod_affinity: PodAffinity | None = None
    """Beside which pods."""
    pod_anti_affinity: PodAffinity | None = None
    """Away from which pods."""


class Toleration(ApiModel):
    """A node taint that the pod puts up with; as in a PodSpec."""

    key: str | None = None
    """The taint's key; empty with Exists means every taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists, or Equal (the default) to value."""
    value: str | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; every effect by default."""
    toleration_seconds: int | None = None
    """For NoExecute: for how many seconds; for ever by default."""


class TopologySpreadConstraint(ApiModel):
    """How evenly pods are spread over places; as in a PodSpec."""

    max_skew: Annotated[int, Field(ge=1, le=_LARGEST_INT32)]
    """By how many pods two places may differ."""
    topology_key: str
    """The node label whose value makes two nodes one place."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """What to do where it cannot be kept."""
    label_selector: LabelSelector | None = None
    """The pods that count."""
    match_label_keys: list[str] | None = None
    """Labels of the pod itself whose values select the pods that count."""
    min_domains: Annotated[int, Field(ge=1, le=_LARGEST_INT32)] | None = None
    """How many places there are at least."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that the pod's affinity excludes count."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether tainted nodes that the pod does not tolerate count."""


class LocalObjectReference(ApiModel):
    """The name of an object in this namespace."""

    name: ObjectName
    """The object's name."""


class EnvVar(ApiModel):
    """An environment variable with a plain value; secrets do not belong here."""

    name: Annotated[str, Field(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")]
    """The variable's name."""
    value: str = ""
    """The variable's value. Kubernetes replaces $(NAME) in it; write $$ for a dollar sign."""


_QUANTITY: Final = r"^([0-9]{1,32}(\.[0-9]{0,32})?|\.[0-9]{1,32})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
"""As Kubernetes writes amounts, less the signs: nobody asks for less than nothing.

And less exponents of more than two digits: to write out 1e5000000 takes the API server half a minute of a core, each
time that it reads a Job or a pod with it; and the operator would make one a slot.
"""
Quantity = Annotated[
    Annotated[str, Field(pattern=_QUANTITY)] | Annotated[int, Field(ge=0)],
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": _QUANTITY,
            "minimum": 0,
        }
    ),
]


class Resources(ApiModel):
    """What the run's container asks for and may use; as in a Container."""

    requests: dict[str, Quantity] | None = None
    """What is set aside for it, such as {cpu: 50m, memory: 96Mi}."""
    limits: dict[str, Quantity] | None = None
    """What it may use at most. The runner needs about 60 MiB, whatever the size of the tables."""


class PodMetadata(ApiModel):
    """Labels and annotations that runs' Jobs and pods carry besides the operator's own."""

    labels: dict[str, LabelValue] | None = None
    """Labels; the operator's own win where they collide."""
    annotations: dict[str, str] | None = None
    """Annotations, 16 KiB in all; the operator's own win where they collide."""


class PodSettings(ApiModel):
    """How runs' pods are placed and provided for; as in a PodSpec, whose other fields are the operator's."""

    node_selector: dict[str, LabelValue] | None = None
    """Node labels that the pod's node must have."""
    tolerations: list[Toleration] | None = None
    """Node taints that the pod puts up with."""
    affinity: Affinity | None = None
    """Where the pod may or should be placed."""
    topology_spread_constraints: list[TopologySpreadConstraint] | None = None
    """How evenly pods are spread over places."""
    priority_class_name: ObjectName | None = None
    """The pod's PriorityClass."""
    image_pull_secrets: list[LocalObjectReference] | None = None
    """Secrets of this namespace with which the runner's image is pulled."""
    resources: Resources | None = None
    """What the run's container asks for and may use."""
    env: list[EnvVar] | None = None
    """Environment variables of the run's container; libpq reads its PG* variables."""


class PodTemplate(ApiModel):
    """What runs' Jobs and pods are made with."""

    metadata: PodMetadata | None = None
    """Labels and annotations besides the operator's own."""
    spec: PodSettings | None = None
    """Placement, resources and environment."""
