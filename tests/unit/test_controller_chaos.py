"""A controller to which everything happens: refusals, answers that come late or never, deaths, edits, watches that lag.

On the API server in memory, some hours at a time. Whatever happens, no slot and no request is run twice, never are two
runs active, and once all is quiet the status says what is there.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.aio.client.exceptions import ApiException

from tests.unit.kube import FakeKube, refusal, schedule_body
from tests.unit.test_controller_reconcile import HOURLY, World
from trending.controller.kube import JsonObject
from trending.controller.reconcile import CreateRefusedError, DeleteRefusedError

METHODS: Final = ("replace_status", "create_job", "delete_job", "create_event")
FAULTS: Final = tuple(f"{fault} {method}" for fault in ("refuse", "time out", "die in") for method in METHODS)
"""A call is refused; is done and answered with an error; is done, and the controller dies before the answer comes."""
HAPPENINGS: Final = ("nothing", "blind", "finish", "fail", "request", "suspend", "resume", "policy", "edit", "die")


class DiedError(BaseException):
    """The controller's process has ended, wherever it was."""


class FaultyKube(FakeKube):
    """An API server on which one call, as `fault` says, goes wrong; it sees to the promises about Jobs."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.fault = ""
        self.created: list[str] = []

    @property
    def active(self) -> list[str]:
        """The Jobs that have not finished."""
        return [name for (_, name), job in self._jobs.items() if "conditions" not in job.get("status", {})]

    async def create_job(self, manifest: JsonObject) -> JsonObject:
        body = await self._faulty("create_job", self._create(manifest))
        return dict(body)

    async def _create(self, manifest: JsonObject) -> JsonObject:
        name, active = str(manifest["metadata"]["name"]), self.active
        body = await super().create_job(manifest)
        assert name not in self.created, f"{name} is run twice"
        assert not active, f"{name} is run beside {active[0]}"
        self.created.append(name)
        return body

    async def replace_status(self, body: JsonObject) -> JsonObject:
        return dict(await self._faulty("replace_status", super().replace_status(body)))

    async def delete_job(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        await self._faulty("delete_job", super().delete_job(namespace, name, uid=uid, version=version))

    async def create_event(self, manifest: JsonObject) -> None:
        await self._faulty("create_event", super().create_event(manifest))

    async def _faulty(self, method: str, call: Coroutine[Any, Any, Any]) -> Any:
        fault = self.fault.removesuffix(f" {method}") if self.fault.endswith(f" {method}") else ""
        if fault:
            self.fault = ""
        if fault == "refuse":
            call.close()
            raise refusal(500, "etcd is slow")
        result = await call
        if fault == "time out":
            raise refusal(504, "the answer did not come in time")
        if fault == "die in":
            raise DiedError
        return result


class Hours(World):
    """A cluster with one schedule, and a controller that is started anew each time it dies."""

    kube: FaultyKube

    def __init__(self, **spec: Any) -> None:
        super().__init__("00:00:30")
        self.kube = FaultyKube(self.clock)
        self.spec: dict[str, Any] = spec
        self.requests = 0
        self.kube.apply(schedule_body(created="00:00:30", **spec))
        self.restart()

    async def passes(self, *, blind: bool = False) -> None:
        """Have the controller look until nothing goes wrong any more; blind, it has not been told of any change."""
        for _ in range(4):
            try:
                if not blind:
                    await self.see()
                await self.reconciler.reconcile(HOURLY)
            except DiedError:
                self.restart()
                blind = False
            except (ApiException, CreateRefusedError, DeleteRefusedError):
                self.clock.advance(1)
            else:
                return
        raise AssertionError("the controller does not come to rest")

    def happens(self, event: str) -> None:
        if event in FAULTS:
            self.kube.fault = event
        elif event == "die":
            self.restart()
        elif event in ("finish", "fail"):
            for name in self.kube.active:
                self._end(name, well=event == "finish")
        elif event == "request":
            self.requests += 1
            self.kube.annotate(requestedAt=str(self.requests))
        elif event in ("suspend", "resume"):
            self._edit(suspend=event == "suspend")
        elif event == "policy":
            self._edit(concurrencyPolicy="Forbid" if self.spec["concurrencyPolicy"] == "Replace" else "Replace")
        elif event == "edit":
            self._edit(schedule="*/20 * * * *" if self.spec["schedule"] != "*/20 * * * *" else "15 * * * *")

    def _end(self, name: str, *, well: bool) -> None:
        if well:
            self.kube.succeed(name)
        else:
            self.kube.end_job(name, None, kind="Failed", reason="BackoffLimitExceeded")

    def _edit(self, **fields: Any) -> None:
        self.spec |= fields
        self.kube.apply(schedule_body(created="00:00:30", **self.spec))
        if self.requests:
            self.kube.annotate(requestedAt=str(self.requests))

    async def is_quiet(self) -> None:
        """Let what is active end and all be looked at; check that the status says what is there."""
        self.kube.fault = ""
        await self.passes()
        for _ in range(3):
            self.happens("finish")
            self.clock.advance(1)
            await self.passes()
        self.happens("finish")
        self._edit(suspend=True)
        await self.passes()
        status = self.kube.status()
        assert (self.kube.active, status["active"], status["activeCount"]) == ([], [], 0)
        assert status.get("lastHandledRequest") == (str(self.requests) if self.requests else None)
        assert ("lastRun" in status) is bool(self.kube.created)


async def play(hours: Hours, happenings: list[tuple[str, int]]) -> None:
    await hours.passes()
    for event, seconds in happenings:
        hours.happens(event)
        await hours.passes(blind=event == "blind")
        hours.clock.advance(seconds)
    await hours.is_quiet()


@settings(max_examples=50)
@given(
    st.fixed_dictionaries(
        {
            "schedule": st.sampled_from(["*/10 * * * *", "0 * * * *", "@every 17m"]),
            "concurrencyPolicy": st.sampled_from(["Forbid", "Replace"]),
            "immediate": st.booleans(),
            "spread": st.sampled_from(["0s", "9m59s"]),
            "minInterval": st.sampled_from(["0s", "7m"]),
            "successfulJobsHistoryLimit": st.integers(0, 1),
            "failedJobsHistoryLimit": st.integers(0, 1),
        },
        optional={"startingDeadlineSeconds": st.sampled_from([60, 1200])},
    ),
    st.lists(
        st.tuples(st.one_of(st.sampled_from(HAPPENINGS), st.sampled_from(FAULTS)), st.integers(1, 3600)),
        min_size=1,
        max_size=12,
    ),
)
def test_whatever_happens_nothing_is_run_twice_or_beside_another_and_the_status_comes_right(
    spec: dict[str, Any], happenings: list[tuple[str, int]]
) -> None:
    asyncio.run(play(Hours(**spec), happenings))
