"""The models refuse what the API server refuses, in the same sentences: `trending run -f` has no API server."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from tests.unit.schedules import SPEC
from trending.api import duration, refused
from trending.api.document import RunDocument
from trending.api.instant import format_instant, format_precise, parse_instant
from trending.api.model import Rule
from trending.api.spec import TrendingScheduleSpec

PRESET = {"name": "audius/tracks-pnagD", "timeRanges": ["week"]}
QUERY: dict[str, Any] = {"name": "own", "table": "hot", "slice": {}, "query": "SELECT 1"}


def spec(**fields: Any) -> TrendingScheduleSpec:
    return TrendingScheduleSpec.model_validate({**SPEC, **fields})


def rewrite(**fields: Any) -> dict[str, Any]:
    return {"rewrite": [{key: value for key, value in fields.items() if value is not None}]}


def database(**fields: Any) -> dict[str, Any]:
    return {"database": {**SPEC["database"], **fields}}


def test_defaults_are_filled_in() -> None:
    read = spec()
    assert (read.time_zone, read.concurrency_policy, read.suspend, read.immediate) == (
        "Etc/UTC",
        "Forbid",
        False,
        False,
    )
    assert (read.successful_jobs_history_limit, read.failed_jobs_history_limit) == (3, 1)
    assert (read.backoff_limit, read.active_deadline_seconds, read.starting_deadline_seconds) == (2, 3600, None)
    assert (read.rewrite[0].strategy, read.stale_after) == ("Auto", None)
    assert (read.spread, read.min_interval) == (timedelta(0), timedelta(0))
    assert spec(refresh=[{"materializedView": "v"}]).refresh[0].mode == "Auto"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        pytest.param({"rewrite": []}, refused.NO_TARGETS, id="no targets"),
        pytest.param({"concurrencyPolicy": "Allow"}, refused.NO_SUCH_POLICY, id="Allow"),
        pytest.param({"concurrencyPolicy": "replace"}, refused.NO_SUCH_POLICY, id="replace in small letters"),
        pytest.param({"startingDeadlineSeconds": 0}, refused.SHORT_DEADLINE, id="no deadline"),
        pytest.param({"startingDeadlineSeconds": -1}, refused.SHORT_DEADLINE, id="a negative deadline"),
        pytest.param({"staleAfter": "-1h"}, duration.POSITIVE, id="a negative duration"),
        pytest.param({"staleAfter": "0s"}, duration.POSITIVE, id="no duration"),
        pytest.param({"minInterval": "-1m"}, duration.NOT_NEGATIVE, id="a negative interval"),
        pytest.param({"spread": "1.5s"}, duration.NOT_NEGATIVE, id="a spread of parts of a second"),
        pytest.param({"database": {"secretKeyRef": {"name": "db"}}}, refused.NO_SECRET_KEY, id="no key"),
        pytest.param(
            {"database": {"secretKeyRef": {"name": "db", "key": ""}}}, refused.NO_SECRET_KEY, id="an empty key"
        ),
        pytest.param(database(caSecretKeyRef={"name": "ca"}), refused.NO_SECRET_KEY, id="no key of the CA's"),
        pytest.param(database(settings={"Role": "x"}), refused.RESERVED_SETTING, id="role"),
        pytest.param(database(settings={"transaction_isolation": "x"}), refused.RESERVED_SETTING, id="transaction_*"),
        pytest.param(rewrite(**QUERY, preset=PRESET), refused.PRESET_AND_QUERY, id="preset and query"),
        pytest.param(rewrite(name="a"), refused.NEITHER_PRESET_NOR_QUERY, id="neither preset nor query"),
        pytest.param(rewrite(name="a", preset=PRESET, table="t"), refused.PRESET_WITH_TABLE, id="preset and table"),
        pytest.param(
            rewrite(name="a", preset=PRESET, slice={}), refused.PRESET_WITH_TABLE, id="preset and empty slice"
        ),
        pytest.param(rewrite(name="a", preset=PRESET, key=["k"]), refused.PRESET_WITH_TABLE, id="preset and key"),
        pytest.param(rewrite(name="a", preset=PRESET, stamp="s"), refused.PRESET_WITH_TABLE, id="preset and stamp"),
        pytest.param(rewrite(**{**QUERY, "table": None}), refused.QUERY_WITHOUT_TABLE, id="query without table"),
        pytest.param(rewrite(**{**QUERY, "slice": None}), refused.QUERY_WITHOUT_SLICE, id="query without slice"),
    ],
)
def test_what_owes_a_sentence_is_refused_with_it(fields: dict[str, Any], rule: Rule) -> None:
    with pytest.raises(ValidationError) as refusal:
        spec(**fields)
    assert rule.message in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"shedule": "* * * * *"}, "shedule", id="a misspelt field"),
        pytest.param({"jitter": "1m"}, "jitter", id="a field of another version"),
        pytest.param({"schedule": None}, "valid string", id="no schedule"),
        pytest.param({"schedule": "* " * 257}, "at most 512", id="an endless schedule"),
        pytest.param({"activeDeadlineSeconds": 119}, "greater than or equal to 120", id="no time to work in"),
        pytest.param({"successfulJobsHistoryLimit": -1}, "greater than or equal to 0", id="a negative limit"),
        pytest.param({"backoffLimit": -1}, "greater than or equal to 0", id="a negative backoff"),
        pytest.param(rewrite(**{**QUERY, "name": "a b"}), "match pattern", id="a space in a name"),
        pytest.param(rewrite(**{**QUERY, "name": "x" * 64}), "at most 63", id="a long name"),
        pytest.param(rewrite(**{**QUERY, "query": "x" * 8193}), "at most 8192", id="a long query"),
        pytest.param(
            rewrite(**QUERY, strategy="Vacuum"),
            "'Auto', 'Merge', 'Swap', 'DeleteInsert' or 'Upsert'",
            id="no such strategy",
        ),
        pytest.param(rewrite(**{**QUERY, "slice": {"a": []}}), "at least 1", id="a column of no value"),
        pytest.param(rewrite(**{**QUERY, "slice": {"a": ["x" * 257]}}), "at most 256", id="a long value"),
        pytest.param(rewrite(**{**QUERY, "slice": {f"c{n}": ["x"] for n in range(9)}}), "at most 8", id="nine columns"),
        pytest.param({"rewrite": [{**QUERY, "name": f"t{n}"} for n in range(25)]}, "at most 24", id="25 targets"),
        pytest.param({"refresh": [{"materializedView": f"v{n}"} for n in range(17)]}, "at most 16", id="17 views"),
        pytest.param({"rewrite": [QUERY, QUERY]}, "spec.rewrite names 'own' twice", id="two targets of a name"),
        pytest.param({"refresh": [{"materializedView": "v"}] * 2}, "spec.refresh names 'v' twice", id="a view twice"),
        pytest.param(database(settings={"jit": False}), "valid string", id="a setting that YAML made a boolean"),
        pytest.param({"template": {"spec": {"volumes": []}}}, "volumes", id="a volume in the template"),
        pytest.param({"template": {"spec": {"serviceAccountName": "a"}}}, "serviceAccountName", id="a service account"),
        pytest.param({"template": {"spec": {"securityContext": {}}}}, "securityContext", id="a security context"),
        pytest.param(
            {"template": {"spec": {"env": [{"name": "A", "valueFrom": {}}]}}},
            "valueFrom",
            id="a variable from elsewhere",
        ),
        pytest.param({"template": {"spec": {"env": [{"name": "A B"}]}}}, "match pattern", id="a variable with a space"),
        pytest.param({"template": {"metadata": {"labels": {"a": "-"}}}}, "match pattern", id="a label's value"),
        pytest.param({"template": {"spec": {"nodeSelector": {"a": "b c"}}}}, "match pattern", id="a node's label"),
        pytest.param(
            {"template": {"spec": {"resources": {"limits": {"memory": "1 GB"}}}}}, "match pattern", id="an amount"
        ),
        pytest.param(
            {"template": {"spec": {"resources": {"limits": {"memory": "7.5E5068759"}}}}},
            "match pattern",
            id="an amount that the API server would write out for minutes",
        ),
        pytest.param(
            {"template": {"spec": {"resources": {"limits": {"memory": "9" * 33 + "k"}}}}},
            "match pattern",
            id="an amount of too many digits",
        ),
        pytest.param({"template": {"spec": {"priorityClassName": "High!"}}}, "match pattern", id="a class's name"),
        pytest.param(
            {
                "template": {
                    "spec": {
                        "topologySpreadConstraints": [
                            {"maxSkew": 2**31, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
                        ]
                    }
                }
            },
            "less than or equal to 2147483647",
            id="a number that is too large for a Job",
        ),
    ],
)
def test_anything_else_that_is_wrong_is_refused_too(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        spec(**fields)
    assert words in str(refusal.value)


def test_no_two_rules_say_the_same() -> None:
    rules = [rule for rule in vars(refused).values() if isinstance(rule, Rule)]
    assert len({rule.message for rule in rules}) == len(rules)


def test_a_spec_reads_back_from_what_it_is_written_as() -> None:
    read = spec(
        staleAfter="1h30m",
        refresh=[{"materializedView": 'analytics."Hot"', "mode": "Blocking"}],
        rewrite=[{**QUERY, "slice": {"board": ["main"], "kind": ["a", "b"]}, "key": ["id"], "stamp": "at"}],
        template={
            "spec": {
                "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                "env": [{"name": "PGSSLMODE", "value": "$$"}],
            }
        },
    )
    written = json.loads(json.dumps(read.to_json_object()))
    assert written["staleAfter"] == "1h30m"
    assert written["template"]["spec"]["resources"] == {"limits": {"cpu": 1, "memory": "1Gi"}}
    assert TrendingScheduleSpec.model_validate(written) == read


class TestInstants:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-23T18:00:00Z",
            "2026-11-23T19:00:00+01:00",
            "2026-11-23T18:00:00.000000Z",
            "2026-11-23T13:00:00-05:00",
        ],
    )
    def test_any_offset_is_read_as_utc(self, text: str) -> None:
        assert parse_instant(text) == datetime(2026, 11, 23, 18, tzinfo=UTC)
        assert parse_instant(text).tzinfo is UTC

    @pytest.mark.parametrize("text", ["", "now", "2026-11-23T18:00:00", "2026-11-23", "2026-11-31T18:00:00Z", "18:00Z"])
    def test_what_has_no_zone_or_is_no_time_is_refused_with_what_to_write(self, text: str) -> None:
        with pytest.raises(ValueError, match="write it as 2026-11-") as refusal:
            parse_instant(text)
        assert type(refusal.value) is ValueError

    @pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
    def test_a_time_that_utc_does_not_hold_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="not within the years 1 to 9999 of UTC"):
            parse_instant(text)

    def test_an_instant_is_written_to_the_second_it_lies_in(self) -> None:
        berlin = timezone(timedelta(hours=1))
        assert format_instant(datetime(2026, 11, 23, 19, 0, 0, 999_999, tzinfo=berlin)) == "2026-11-23T18:00:00Z"
        assert format_precise(datetime(2026, 11, 23, 19, 0, 0, 1, tzinfo=berlin)) == "2026-11-23T18:00:00.000001Z"
        assert format_precise(datetime(2026, 11, 23, 19, tzinfo=berlin)) == "2026-11-23T18:00:00.000000Z"

    def test_what_go_writes_for_no_time_at_all_reads_back(self) -> None:
        assert format_instant(parse_instant("0001-01-01T00:00:00Z")) == "0001-01-01T00:00:00Z"


class TestRunDocuments:
    DOCUMENT: ClassVar[dict[str, Any]] = {
        "apiVersion": "trending.dev/v1",
        "namespace": "discovery",
        "name": "hourly",
        "uid": "u1",
        "job": "hourly-29000000",
        "trigger": "Schedule",
        "scheduledTime": "2026-11-23T18:00:00Z",
        "deadline": "2026-11-23T18:59:15Z",
        "spec": SPEC,
    }

    def test_a_document_reads_back_and_names_its_run_alike_for_every_attempt(self) -> None:
        document = RunDocument.parse(json.dumps(self.DOCUMENT))
        assert document.run_id == "u1/hourly-29000000"
        assert document.scheduled_time == datetime(2026, 11, 23, 18, tzinfo=UTC)
        assert RunDocument.parse(json.dumps(document.to_json_object())) == document

    @pytest.mark.parametrize("missing", sorted(DOCUMENT.keys() - {"apiVersion"}))
    def test_a_document_lacks_nothing(self, missing: str) -> None:
        with pytest.raises(ValidationError):
            RunDocument.parse(json.dumps({key: value for key, value in self.DOCUMENT.items() if key != missing}))

    @pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "\x00"])
    def test_what_is_no_document_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError, match="validation error"):
            RunDocument.parse(text)
