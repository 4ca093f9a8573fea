"""What is refused at `kubectl apply`, each with a sentence that says what to write instead."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from demo.kubectl import Kubectl
from tests.e2e.controllers import Controller
from tests.e2e.schedules import preset_target, query_target, schedule
from trending.api import duration, refused
from trending.api.model import Rule

GOOD = schedule(preset_target("tracks", "week"))
TARGET = query_target()

REFUSED: list[tuple[str, Rule, dict[str, Any]]] = [
    ("six fields", refused.NOT_FIVE_FIELDS, {"schedule": "0 0 * * * *"}),
    ("four fields", refused.NOT_FIVE_FIELDS, {"schedule": "0 * * *"}),
    ("nothing but a space", refused.NOT_FIVE_FIELDS, {"schedule": " "}),
    ("TZ= in the schedule", refused.ZONE_IN_SCHEDULE, {"schedule": "TZ=Europe/Berlin 0 * * * *"}),
    ("CRON_TZ= in the schedule", refused.ZONE_IN_SCHEDULE, {"schedule": "CRON_TZ=UTC 0 * * * *"}),
    ("TZ= before a word", refused.ZONE_IN_SCHEDULE, {"schedule": "TZ=UTC @hourly"}),
    ("minute 60", refused.BAD_FIELD, {"schedule": "60 * * * *"}),
    ("hour 24", refused.BAD_FIELD, {"schedule": "0 24 * * *"}),
    ("day 0", refused.BAD_FIELD, {"schedule": "0 0 0 * *"}),
    ("month 13", refused.BAD_FIELD, {"schedule": "0 0 1 13 *"}),
    ("day of the week 7", refused.BAD_FIELD, {"schedule": "0 0 * * 7"}),
    ("a negative minute", refused.BAD_FIELD, {"schedule": "-1 * * * *"}),
    ("a step of zero", refused.BAD_FIELD, {"schedule": "*/0 * * * *"}),
    ("a word that is no month", refused.BAD_FIELD, {"schedule": "0 0 1 foo *"}),
    ("quartz's last day", refused.BAD_FIELD, {"schedule": "0 0 L * *"}),
    ("@every of five seconds", refused.SHORT_EVERY, {"schedule": "@every 5s"}),
    ("@every just short of a minute", refused.SHORT_EVERY, {"schedule": "@every 59.999s"}),
    ("a negative @every", refused.BAD_EVERY, {"schedule": "@every -5m"}),
    ("@every in days", refused.BAD_EVERY, {"schedule": "@every 1d"}),
    ("an unknown word", refused.UNKNOWN_DESCRIPTOR, {"schedule": "@fortnightly"}),
    ("a word in capitals", refused.UNKNOWN_DESCRIPTOR, {"schedule": "@Hourly"}),
    ("@reboot", refused.UNKNOWN_DESCRIPTOR, {"schedule": "@reboot"}),
    ("the zone Local", refused.NO_ZONE, {"timeZone": "Local"}),
    ("an empty zone", refused.NO_ZONE, {"timeZone": ""}),
    ("no rewrite", refused.NO_TARGETS, {"rewrite": None}),
    ("an empty rewrite", refused.NO_TARGETS, {"rewrite": []}),
    ("Allow", refused.NO_SUCH_POLICY, {"concurrencyPolicy": "Allow"}),
    ("a policy that is none", refused.NO_SUCH_POLICY, {"concurrencyPolicy": "forbid"}),
    ("a negative startingDeadlineSeconds", refused.SHORT_DEADLINE, {"startingDeadlineSeconds": -5}),
    ("startingDeadlineSeconds 0", refused.SHORT_DEADLINE, {"startingDeadlineSeconds": 0}),
    ("a negative spread", duration.NOT_NEGATIVE, {"spread": "-1s"}),
    ("a spread of parts of a second", duration.NOT_NEGATIVE, {"spread": "1.5s"}),
    ("a negative minInterval", duration.NOT_NEGATIVE, {"minInterval": "-1m"}),
    ("minInterval without a unit", duration.NOT_NEGATIVE, {"minInterval": "90"}),
    ("a negative staleAfter", duration.POSITIVE, {"staleAfter": "-2h"}),
    ("staleAfter 0s", duration.POSITIVE, {"staleAfter": "0s"}),
    ("staleAfter without a unit", duration.POSITIVE, {"staleAfter": "90"}),
    ("staleAfter in days", duration.POSITIVE, {"staleAfter": "1d"}),
    ("a secretKeyRef without key", refused.NO_SECRET_KEY, {"database": {"secretKeyRef": {"name": "db"}}}),
    (
        "a secretKeyRef with an empty key",
        refused.NO_SECRET_KEY,
        {"database": {"secretKeyRef": {"name": "db", "key": ""}}},
    ),
    (
        "a caSecretKeyRef without key",
        refused.NO_SECRET_KEY,
        {"database": {"secretKeyRef": {"name": "db", "key": "uri"}, "caSecretKeyRef": {"name": "ca"}}},
    ),
    *(
        (
            f"the setting {name}",
            refused.RESERVED_SETTING,
            {"database": {"secretKeyRef": {"name": "db", "key": "uri"}, "settings": {name: "x"}}},
        )
        for name in ("role", "TimeZone", "Session_Authorization", "transaction_read_only")
    ),
    (
        "a preset with a query",
        refused.PRESET_AND_QUERY,
        {"rewrite": [preset_target("t", "week") | {"query": "SELECT 1"}]},
    ),
    ("neither preset nor query", refused.NEITHER_PRESET_NOR_QUERY, {"rewrite": [{"name": "t"}]}),
    *(
        (
            f"a preset with {field}",
            refused.PRESET_WITH_TABLE,
            {"rewrite": [preset_target("t", "week") | {field: value}]},
        )
        for field, value in {"table": "t", "slice": {}, "key": ["id"], "stamp": "at"}.items()
    ),
    (
        "a query without table",
        refused.QUERY_WITHOUT_TABLE,
        {"rewrite": [{key: value for key, value in TARGET.items() if key != "table"}]},
    ),
    (
        "a query without slice",
        refused.QUERY_WITHOUT_SLICE,
        {"rewrite": [{key: value for key, value in TARGET.items() if key != "slice"}]},
    ),
]

REFUSED_BY_THE_SCHEMA: list[tuple[str, str, dict[str, Any]]] = [
    ("two targets of one name", "Duplicate value", {"rewrite": [TARGET, TARGET]}),
    (
        "one view twice",
        "Duplicate value",
        {"refresh": [{"materializedView": "trending_params"}, {"materializedView": "trending_params"}]},
    ),
    ("a deadline under two minutes", "greater than or equal to 120", {"activeDeadlineSeconds": 119}),
    ("a negative history limit", "greater than or equal to 0", {"successfulJobsHistoryLimit": -1}),
    ("a negative backoffLimit", "greater than or equal to 0", {"backoffLimit": -1}),
    ("an unknown strategy", "Unsupported value", {"rewrite": [TARGET | {"strategy": "Replace"}]}),
    ("an unknown time range", "Unsupported value", {"rewrite": [preset_target("t", "day")]}),
    ("no time range", "should have at least 1 items", {"rewrite": [preset_target("t")]}),
    ("a query over 8 KiB", "Too long", {"rewrite": [query_target("x" * 8193)]}),
    ("25 targets", "must have at most 24 items", {"rewrite": [query_target(board=f"b{n}") for n in range(25)]}),
    ("17 views", "must have at most 16 items", {"refresh": [{"materializedView": f"v{n}"} for n in range(17)]}),
]

# kubectl reads these itself before it asks the server, and a list of objects fails as a whole.
REFUSED_BY_KUBECTL: list[tuple[str, str, dict[str, Any]]] = [
    ("an unknown field", 'unknown field "spec.shedule"', {"shedule": "0 * * * *"}),
    ("no database", "spec.database: Required value", {"database": None}),
    ("no schedule", "spec.schedule: Required value", {"schedule": None}),
    ("a volume in the template", 'unknown field "spec.template.spec.volumes"', {"template": {"spec": {"volumes": []}}}),
    (
        "a service account in the template",
        'unknown field "spec.template.spec.serviceAccountName"',
        {"template": {"spec": {"serviceAccountName": "admin"}}},
    ),
    (
        "an environment variable from a Secret",
        'unknown field "spec.template.spec.env[0].valueFrom"',
        {"template": {"spec": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}}},
    ),
]

Complaints = dict[str, str]


def ids(cases: Sequence[tuple[str, Any, dict[str, Any]]]) -> list[str]:
    return [case for case, _, _ in cases]


@pytest.fixture(scope="module")
def complaints(controller: Controller) -> Complaints:
    """What kubectl says of each case: all are applied as one list, of which none is accepted."""
    cases = [changes for _, _, changes in (*REFUSED, *REFUSED_BY_THE_SCHEMA)]
    bad = [GOOD | {"metadata": {"name": f"case-{number}"}, "spec": merged(each)} for number, each in enumerate(cases)]
    done = apply({"apiVersion": "v1", "kind": "List", "items": bad}, controller.kubectl)
    assert (done.returncode, done.stdout.strip()) == (1, "")
    said = dict(re.findall(r'"(case-\d+)" is invalid: (.+)', done.stderr))
    names = ids(REFUSED) + ids(REFUSED_BY_THE_SCHEMA)
    return {
        name: said.get(f"case-{number}", f"nothing; all that was said is\n{done.stderr}")
        for number, name in enumerate(names)
    }


@pytest.mark.parametrize(("case", "rule"), [(case, rule) for case, rule, _ in REFUSED], ids=ids(REFUSED))
def test_is_refused_at_apply_with_a_sentence_of_ours(complaints: Complaints, case: str, rule: Rule) -> None:
    assert rule.message in complaints[case]


@pytest.mark.parametrize(
    ("case", "words"), [(case, words) for case, words, _ in REFUSED_BY_THE_SCHEMA], ids=ids(REFUSED_BY_THE_SCHEMA)
)
def test_is_refused_at_apply_by_the_schema(complaints: Complaints, case: str, words: str) -> None:
    assert words in complaints[case]


@pytest.mark.parametrize(
    ("words", "changes"), [(words, changes) for _, words, changes in REFUSED_BY_KUBECTL], ids=ids(REFUSED_BY_KUBECTL)
)
def test_is_refused_at_apply_by_name(controller: Controller, words: str, changes: dict[str, Any]) -> None:
    assert words in apply(GOOD | {"spec": merged(changes)}, controller.kubectl).stderr


def test_a_name_that_leaves_no_room_for_a_jobs_is_refused_at_apply(controller: Controller) -> None:
    assert refused.LONG_NAME.message in apply(GOOD | {"metadata": {"name": "n" * 53}}, controller.kubectl).stderr


def test_every_sentence_of_ours_is_heard_from_an_api_server() -> None:
    rules = {rule for rule in vars(refused).values() if isinstance(rule, Rule)}
    assert rules - {rule for _, rule, _ in REFUSED} == {refused.LONG_NAME}


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the good spec with changes; a field whose value is None is left out."""
    return {key: value for key, value in (GOOD["spec"] | changes).items() if value is not None}


def apply(manifest: dict[str, Any], kubectl: Kubectl) -> subprocess.CompletedProcess[str]:
    """Have kubectl ask the API server whether it would take an object, or a list of them."""
    return subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "--filename=-"],
        input=json.dumps(manifest),
        env=kubectl.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
