"""Specs that the API server accepts, drawn from the CRD's own schema; where CEL has a word in it, from lists."""

from typing import Any, Final

from hypothesis import strategies as st

from tests.unit.structural import Schema, values
from trending.api.crd import build_crd

ROOT: Final[Schema] = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC: Final[Schema] = ROOT["properties"]["spec"]


def _texts(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


PRESET_TARGET = {"name": "week", "preset": {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}}
_DURATIONS = _texts("90s", "2h", "0h1m", "9999999h", "0000001s")
SCHEMA_OF_TARGETS = SPEC["properties"]["rewrite"]["items"]
QUERY_TARGETS = values(
    {
        **SCHEMA_OF_TARGETS,
        "properties": {k: v for k, v in SCHEMA_OF_TARGETS["properties"].items() if k != "preset"},
        "required": ["name", "table", "query", "slice"],
    },
    {".spec.rewrite[].every": _DURATIONS, ".spec.rewrite[].staleAfter": _DURATIONS},
    ".spec.rewrite[]",
)
GIVEN_BY_CEL: dict[str, st.SearchStrategy[Any]] = {
    ".spec.schedule": _texts("0 * * * *", "@hourly", "@every 90m", "*/5 8-18 * * MON-FRI", "0 0 31 2 *", "5-3 * * * *"),
    ".spec.timeZone": _texts("Etc/UTC", "Europe/Berlin", "Mars/Olympus", "europe/berlin"),
    ".spec.concurrencyPolicy": _texts("Forbid", "Replace"),
    ".spec.startingDeadlineSeconds": st.integers(1, 10**9),
    ".spec.staleAfter": _DURATIONS,
    ".spec.spread": st.one_of(_DURATIONS, st.just("0s")),
    ".spec.minInterval": st.one_of(_DURATIONS, st.just("0s")),
    ".spec.database.settings.*": _texts("work_mem", "jit", "my.own", "ROLE_", "default_transaction_isolation"),
    ".spec.database.secretKeyRef": st.fixed_dictionaries({"name": _texts("db"), "key": _texts("uri", "ü", "x" * 253)}),
    ".spec.database.caSecretKeyRef": st.just({"name": "ca", "key": "ca.crt"}),
    ".spec.rewrite": st.one_of(
        st.just([PRESET_TARGET]),
        st.lists(QUERY_TARGETS, min_size=1, max_size=3, unique_by=lambda target: target["name"]),
    ),
}

VALID_SPECS: Final = values(SPEC, GIVEN_BY_CEL, ".spec").filter(lambda spec: "rewrite" in spec)
"""Specs as a user writes them, without the server's defaults."""
