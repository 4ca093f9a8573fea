"""What to do about a schedule: pure, from the reasons of its conditions, its last runs and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from trending.api.duration import format_duration
from trending.api.status import Condition
from trending.cli.kubectl.past_runs import PastRun
from trending.schedule.freshness import Verdict
from trending.schedule.observed import Schedule

_SILENCE: Final = timedelta(minutes=2)
"""How late the controller may be before it is thought to be gone."""
_PATIENCE: Final = timedelta(minutes=1)
"""How long a pod may take to start before one looks why."""
_NOT_ACCEPTED: Final = {
    "InvalidSchedule": "Correct spec.schedule: {edit}. `trending next EXPRESSION` says when an expression fires.",
    "UnknownTimeZone": "Write an IANA name such as Europe/Berlin in spec.timeZone: {edit}.",
    "UnknownPreset": "Name a preset that this version of the operator has: {edit}.",
    "OverlappingSlices": "Give the two targets slices that share no row: {edit}.",
    "NameTooLong": "A name cannot be changed: apply the schedule under a shorter one, and delete this.",
    "SpecTooLarge": "Shorten the queries, or move targets to a second schedule: {edit}.",
}
_FAILED: Final = {
    "ConfigurationError": "A retry will not help until this is corrected: {plan} says all that is wrong. Then {run}.",
    "ConnectionError": "See whether the database is up and key {key} of Secret {secret} leads to it. Then {run}.",
    "DeadlineExceeded": "The run took longer than activeDeadlineSeconds allows ({deadline}): {history} shows how long "
    "runs take; raise it, or rewrite fewer slices a run.",
    "JobFailed": "The pod ended without a report: {logs} or `kubectl{flags} describe job {job}` may tell why; one that "
    "was OOMKilled needs more of spec.template.spec.resources.limits.memory.",
    "RunFailed": "{logs} tells more, and {plan} says what a run would do. Then {run}.",
}


def advise(
    schedule: Schedule, verdict: Verdict, runs: Sequence[PastRun], now: datetime, *, flags: str = ""
) -> tuple[str, ...]:
    """Return what to do, most urgent first; nothing where all is well.

    `verdict` is whether the data are fresh by the clock; `runs` are the known ones, newest first; `flags` are what a
    command needs to find the schedule, such as ` -n discovery`.
    """
    known = {each.type: each for each in schedule.status.conditions}
    words = _commands(schedule, runs, flags)
    accepted = known.get("Accepted")
    if accepted and accepted.status == "False":
        advice = _NOT_ACCEPTED.get(accepted.reason, "Correct the spec: {edit}.")
        return (advice.format_map(words),)
    stuck = [*_of_controller(schedule, verdict, known, now), *_of_active(known.get("Progressing"), now)]
    templates = [
        *stuck,
        *_of_last_run(schedule, known),
        *_of_suspension(schedule, verdict),
        *([] if stuck else _of_freshness(schedule, verdict, known, runs)),
        *_of_cadence(known.get("CadenceAtRisk")),
    ]
    return tuple(template.format_map(words) for template in templates)


def _commands(schedule: Schedule, runs: Sequence[PastRun], flags: str) -> dict[str, str]:
    spec, name = schedule.spec, schedule.name
    active = next((run.job for run in runs if run.ended is None), None)
    last = schedule.status.last_run
    plugin = {verb: f"`kubectl trending {verb} {name}{flags}`" for verb in ("run", "logs", "plan", "history", "resume")}
    return {
        **plugin,
        "follow": f"`kubectl trending logs {name}{flags} -f`",
        "edit": f"`kubectl{flags} edit ts {name}`",
        "job": active or (last.job if last else ""),
        "flags": flags,
        "secret": spec.database.secret_key_ref.name,
        "key": str(spec.database.secret_key_ref.key),
        "deadline": format_duration(timedelta(seconds=spec.active_deadline_seconds)),
    }


def _of_controller(schedule: Schedule, verdict: Verdict, known: dict[str, Condition], now: datetime) -> Iterator[str]:
    """Tell where the controller should have acted, or written, and did not."""
    status, fresh = schedule.status, known.get("Fresh")
    late = status.next_schedule_time is not None and now - status.next_schedule_time > _SILENCE
    unseen = not status.conditions and now - schedule.created > _SILENCE
    silent = fresh is not None and fresh.status == "True" and not verdict.fresh and _passed(verdict, now)
    if unseen or silent or (late and not status.active):
        yield (
            "The controller does not act: see whether it runs, with "
            "`kubectl get pods -A -l app.kubernetes.io/name=trending-operator`, and whether it watches this namespace."
        )


def _passed(verdict: Verdict, now: datetime) -> bool:
    return verdict.stale_time is not None and now - verdict.stale_time > _SILENCE


def _of_active(progressing: Condition | None, now: datetime) -> Iterator[str]:
    if progressing is None or progressing.reason != "WaitingForPod":
        return
    if now - progressing.last_transition_time > _PATIENCE:
        yield "The run's pod does not start: `kubectl{flags} describe pod -l job-name={job}` says why."


def _of_last_run(schedule: Schedule, known: dict[str, Condition]) -> Iterator[str]:
    succeeded = known.get("Succeeded")
    if succeeded is None or succeeded.status != "False" or schedule.status.active:
        return
    yield _FAILED.get(succeeded.reason, _FAILED["RunFailed"])


def _of_suspension(schedule: Schedule, verdict: Verdict) -> Iterator[str]:
    if not schedule.spec.suspend:
        return
    yield "It is suspended, and its data " + (
        "will go stale: {resume}, or {run} for one run."
        if verdict.fresh
        else "are stale: {resume}, or {run} for one run."
    )


def _of_freshness(
    schedule: Schedule, verdict: Verdict, known: dict[str, Condition], runs: Sequence[PastRun]
) -> Iterator[str]:
    """Tell what brings fresh data, where nothing else that is wrong explains that there are none."""
    succeeded = known.get("Succeeded")
    failing = succeeded is not None and succeeded.status == "False"
    if verdict.fresh or failing or schedule.spec.suspend:
        return
    if schedule.status.active:
        yield "A run is active, and brings fresh data when it succeeds: {follow} shows how far it is."
    elif verdict.reason == "NeverSucceeded":
        yield "No run has succeeded yet: wait for the next one, or {run}."
    elif verdict.reason == "TargetWithoutData":
        yield "A run by hand rewrites all targets, also those that are due less often (`every`): {run}."
    elif runs and runs[0].ended and runs[0].ended.result == "Replaced":
        yield (
            "Runs are replaced before they end: make them shorter or rarer, or write concurrencyPolicy: Forbid; "
            "{history} shows how long they take."
        )
    else:
        yield "Runs succeed, but are too far apart for staleAfter, or skip the target: {run}, or raise staleAfter."


def _of_cadence(cadence: Condition | None) -> Iterator[str]:
    if cadence and cadence.status == "True":
        yield (
            "Runs take nearly as long as the time between them: {history} shows which step grows; run less often, "
            "raise spec.database.parallelism, or split the schedule."
        )
