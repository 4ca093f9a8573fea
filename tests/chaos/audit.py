"""What was written, by whom and when, as the API server's audit log tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Request",
            "verbs": ["create", "update"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [
                {"group": "batch", "resources": ["jobs"]},
                {"group": "trending.dev", "resources": ["trendingschedules/status"]},
                {"group": "", "resources": ["events"]},
            ],
        },
        {"level": "None"},
    ],
}
_GIVEN_UP: Final = 504
_OURS: Final = re.compile(r"trending-operator \((\S+)\)")


@dataclass(frozen=True, kw_only=True)
class Write:
    """A write that a controller asked for."""

    who: str
    """Which candidate: its name and what tells it from those before it in the same place."""
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    received: datetime
    done: datetime
    holder: str | None
    """Who holds the Lease after it, where it writes one."""

    @property
    def succeeded(self) -> bool:
        """Whether anything was written."""
        return 200 <= self.code < 300


def audit_flags(folder: Path) -> list[str]:
    """Return the API server's flags for a log in that folder."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps(_POLICY))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={folder / 'audit.log'}"]


def read_writes(folder: Path) -> list[Write]:
    """Return the controllers' writes, in the order in which they were done."""
    lines = (folder / "audit.log").read_text().splitlines()
    return sorted(filter(None, map(_read, lines)), key=lambda write: write.done)


def _read(line: str) -> Write | None:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:  # cut off when the API server was killed
        return None
    ours = _OURS.fullmatch(event.get("userAgent", ""))
    if ours is None or event["stage"] != "ResponseComplete":
        return None
    about, spec = event["objectRef"], (event.get("requestObject") or {}).get("spec") or {}
    return Write(
        who=ours[1],
        verb=event["verb"],
        resource=about["resource"],
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        code=int(event["responseStatus"]["code"]),
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        done=datetime.fromisoformat(event["stageTimestamp"]),
        holder=spec.get("holderIdentity"),
    )


def twice_created(writes: Iterable[Write]) -> list[str]:
    """Return the Jobs that were created more than once, be it after they were deleted."""
    created = [f"{w.namespace}/{w.name}" for w in writes if (w.verb, w.resource) == ("create", "jobs") and w.succeeded]
    return sorted({name for name in created if created.count(name) > 1})


def written_without_the_lead(writes: Sequence[Write]) -> list[Write]:
    """Return what was asked for by one who did not hold the Lease when the API server received it.

    Be it refused: names that exist once and versions that are compared are the last line of defence, not the first.
    What the network held back and its sender gave up meanwhile does not count: the API server turns it away (504).
    """
    held = [(write.done, write.holder) for write in writes if write.resource == "leases" and write.succeeded]
    wrong = []
    for write in writes:
        if write.resource != "leases" and write.code != _GIVEN_UP:
            holders = [holder for done, holder in held if done <= write.received]
            if not holders or holders[-1] != write.who:
                wrong.append(write)
    return wrong


def terms(writes: Iterable[Write]) -> list[str]:
    """Return who held the Lease, one after another."""
    order: list[str] = []
    for write in writes:
        if write.resource == "leases" and write.succeeded and write.holder and order[-1:] != [write.holder]:
            order.append(write.holder)
    return order
