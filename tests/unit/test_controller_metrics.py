"""What Prometheus reads: of each schedule as it is now, of each run once, of a schedule that is gone nothing."""

import gzip
import urllib.request
from datetime import datetime, timedelta
from email.message import Message
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest
from kubernetes.aio.client.exceptions import ApiException
from prometheus_client import generate_latest

from tests.unit.kube import at, own_target, refusal, report, schedule_body
from tests.unit.scrapes import Scrape, scrape
from tests.unit.test_controller_reconcile import HOURLY, World, job_at
from trending.api.status import Step
from trending.controller.kube import Kube
from trending.controller.metrics import Metrics
from trending.controller.store import Key
from trending.report import write_termination_message

OF_A_SCHEDULE = {
    "trending_data_timestamp_seconds",
    "trending_stale_time_seconds",
    "trending_next_schedule_time_seconds",
    "trending_suspended",
    "trending_active_runs",
    "trending_consecutive_failures",
    "trending_condition",
    "trending_runs",
    "trending_run_duration_seconds",
    "trending_rewritten_rows",
    "trending_wal_bytes",
    "trending_start_delay_seconds",
    "trending_missed",
    "trending_last_missed_time_seconds",
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def hourly(world: World) -> World:
    world.kube.apply(schedule_body())
    return world


def read(world: World) -> Scrape:
    return scrape(world.metrics)


def epoch(time: str) -> float:
    return at(time).timestamp()


async def test_a_schedule_that_never_ran_has_all_its_metrics(hourly: World) -> None:
    await hourly.look()
    told = read(hourly)
    assert {f.name for f in told.families if any("schedule" in sample.labels for sample in f.samples)} == OF_A_SCHEDULE
    assert told.of("trending_data_timestamp_seconds", target="week") == 0
    assert told.of("trending_stale_time_seconds", target="week") == 0, "which time() is greater than: it is stale"
    assert told.of("trending_next_schedule_time_seconds") == epoch("09:00")
    assert told.of("trending_suspended") == 0
    assert told.of("trending_missed_total") == 0
    assert told.of("trending_last_missed_time_seconds") == 0
    assert told.of("trending_start_delay_seconds_count") == 0
    for result in ("Succeeded", "Failed", "Superseded", "Replaced", "DeadlineExceeded"):
        assert told.of("trending_runs_total", result=result) == 0
    for action in ("inserted", "updated", "deleted"):
        assert told.of("trending_rewritten_rows_total", target="week", action=action) == 0


async def test_a_schedule_that_was_never_looked_at_has_its_metrics_too(hourly: World) -> None:
    await hourly.see()
    assert read(hourly).of("trending_stale_time_seconds", target="week") == 0


async def test_a_run_is_told_with_all_that_it_did(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00:03")
    assert read(hourly).of("trending_active_runs") == 1
    hourly.kube.make_ready(job_at("09:00"))
    hourly.clock.set("09:03:03")
    steps = (
        Step(name="plays", action="Refresh", mode="Blocking", seconds=9, wal_bytes=1000),
        Step(name="week", action="Rewrite", rows_inserted=3, rows_updated=4, rows_deleted=5, wal_bytes=234),
    )
    told = report(job_at("09:00"), data=at("09:00:04")).model_copy(update={"steps": steps})
    hourly.kube.end_job(job_at("09:00"), write_termination_message(told))
    await hourly.look()
    read_now = read(hourly)
    assert read_now.of("trending_runs_total", result="Succeeded") == 1
    assert read_now.of("trending_run_duration_seconds_count") == 1
    assert read_now.of("trending_run_duration_seconds_sum") == 180
    assert read_now.of("trending_wal_bytes_total") == 1234
    rows = [
        read_now.of("trending_rewritten_rows_total", target="week", action=a)
        for a in ("inserted", "updated", "deleted")
    ]
    assert rows == [3, 4, 5]
    assert read_now.of("trending_data_timestamp_seconds", target="week") == epoch("09:00:04")
    assert read_now.of("trending_stale_time_seconds", target="week") == epoch("11:00:04")
    assert read_now.of("trending_next_schedule_time_seconds") == epoch("10:00")
    assert (read_now.of("trending_start_delay_seconds_count"), read_now.of("trending_start_delay_seconds_sum")) == (
        1,
        3,
    )
    assert read_now.of("trending_active_runs") == 0
    assert read_now.of("trending_condition", condition="Fresh") == 1


async def test_buckets_count_what_is_at_most_their_bound(hourly: World) -> None:
    await hourly.look()
    for slot, delay in (("09:00", 4), ("10:00", 5), ("11:00", 0)):
        hourly.clock.set(slot)
        hourly.clock.advance(delay)
        await hourly.look()
        hourly.kube.succeed(job_at(slot))
        await hourly.look()
    told = read(hourly)
    assert told.of("trending_start_delay_seconds_bucket", le="0.5") == 1
    assert told.of("trending_start_delay_seconds_bucket", le="4.0") == 2
    assert told.of("trending_start_delay_seconds_bucket", le="8.0") == 3
    assert told.of("trending_start_delay_seconds_bucket", le="+Inf") == 3


async def test_a_run_is_counted_once_though_its_status_is_written_at_the_third_attempt(hourly: World) -> None:
    await hourly.look()
    await hourly.look("09:00")
    hourly.clock.set("09:03")
    hourly.kube.succeed(job_at("09:00"))
    hourly.kube.before["replace_status"] = lambda: hourly.kube.annotate(other="x")
    await hourly.look()
    assert hourly.kube.status()["lastRun"]["job"] == job_at("09:00")
    assert read(hourly).of("trending_runs_total", result="Succeeded") == 1

    await hourly.look("10:00")
    hourly.clock.set("10:03")
    hourly.kube.succeed(job_at("10:00"))
    hourly.kube.refuse["replace_status"] = refusal(500)
    for _ in range(2):
        with pytest.raises(ApiException):
            await hourly.look()
    del hourly.kube.refuse["replace_status"]
    await hourly.look()
    await hourly.look()
    assert read(hourly).of("trending_runs_total", result="Succeeded") == 2


async def test_a_controller_that_starts_anew_counts_no_run_again(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    hourly.restart()
    await hourly.look("09:05")
    told = read(hourly)
    assert told.of("trending_runs_total", result="Succeeded") == 0
    assert told.of("trending_data_timestamp_seconds", target="week") == epoch("09:00"), "which the status tells"


async def test_missed_slots_are_counted_once(hourly: World) -> None:
    await hourly.look()
    hourly.kube.before["replace_status"] = lambda: hourly.kube.annotate(other="x")
    await hourly.look("12:00:10")
    await hourly.look("12:00:20")
    assert read(hourly).of("trending_missed_total") == 3, "9, 10 and 11 o'clock"


async def test_when_slots_were_found_to_be_missed_is_told_though_they_are_old(world: World) -> None:
    world.kube.apply(schedule_body(schedule="0 9 * * *"))
    await world.look()
    world.restart()
    world.clock.advance(timedelta(days=2, hours=5).total_seconds())
    await world.look()
    told = read(world)
    assert told.of("trending_missed_total") == 2, "yesterday's and the one before; today's is run"
    assert told.of("trending_last_missed_time_seconds") == world.clock.now.timestamp()


async def test_a_controller_that_starts_anew_tells_the_newest_slot_that_another_found_to_be_missed(
    hourly: World,
) -> None:
    await hourly.look()
    await hourly.look("12:00:10")
    assert read(hourly).of("trending_last_missed_time_seconds") == epoch("12:00:10")
    hourly.restart()
    await hourly.look("12:05")
    told = read(hourly)
    assert (told.of("trending_missed_total"), told.of("trending_last_missed_time_seconds")) == (0, epoch("11:00"))


async def test_one_that_leads_again_tells_the_slot_that_another_found_to_be_missed_after_its_own(hourly: World) -> None:
    await hourly.look()
    await hourly.look("12:00:10")
    hourly.kube._schedules["default", "hourly"]["status"]["lastMissedTime"] = "2026-11-23T15:00:00Z"
    hourly.store.put_schedule(hourly.kube._versioned(hourly.kube._schedules["default", "hourly"]))
    assert read(hourly).of("trending_last_missed_time_seconds") == epoch("15:00")


async def test_a_run_by_hand_is_no_late_start(hourly: World) -> None:
    hourly.kube.annotate(requestedAt="now")
    await hourly.look()
    assert read(hourly).of("trending_start_delay_seconds_count") == 0


async def test_a_suspended_schedule_has_no_next_slot_and_still_tells_its_data(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    hourly.kube.apply(schedule_body(suspend=True))
    await hourly.look("09:10")
    told = read(hourly)
    assert told.of("trending_suspended") == 1
    assert told.of("trending_next_schedule_time_seconds") is None
    assert told.of("trending_stale_time_seconds", target="week") == epoch("11:00")


async def test_the_metrics_of_a_deleted_schedule_vanish_and_its_namesake_begins_at_zero(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    assert read(hourly).schedules == {"hourly"}
    hourly.kube.remove_schedule()
    hourly.kube.remove_job(job_at("09:00"))
    await hourly.look("09:10")
    assert read(hourly).schedules == set()
    again = schedule_body(created="09:20")
    again["metadata"]["uid"] = "u2"
    hourly.kube.apply(again)
    await hourly.look("09:20")
    assert read(hourly).of("trending_runs_total", result="Succeeded") == 0


async def test_a_namesake_that_was_made_before_anybody_looked_begins_at_zero_too(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    hourly.kube.remove_schedule()
    again = schedule_body(created="09:20")
    again["metadata"]["uid"] = "u2"
    hourly.kube.apply(again)
    await hourly.see()
    assert read(hourly).of("trending_runs_total", result="Succeeded") == 0
    await hourly.run("10:00", end="10:03")
    assert read(hourly).of("trending_runs_total", result="Succeeded") == 1


async def test_a_target_that_is_removed_vanishes_and_a_new_one_is_there_at_once(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    hourly.kube.apply(schedule_body(rewrite=[own_target("other")]))
    await hourly.see()
    told = read(hourly)
    assert told.of("trending_stale_time_seconds", target="week") is None
    assert told.of("trending_stale_time_seconds", target="other") == 0


async def test_schedules_that_cannot_be_read_are_counted_by_the_one_that_decides(hourly: World) -> None:
    standby = Metrics(hourly.store, decides=lambda: False)
    assert read(hourly).value("trending_unreadable_schedules") == 0
    hourly.kube.apply(schedule_body(fromTheFuture=True))
    await hourly.look()
    assert read(hourly).value("trending_unreadable_schedules") == 1
    assert scrape(standby).value("trending_unreadable_schedules") == 0, "it may be older than the one that decides"


async def test_one_that_stands_by_speaks_of_no_schedule(hourly: World) -> None:
    await hourly.look()
    standby = scrape(Metrics(hourly.store, decides=lambda: False))
    assert standby.schedules == set()
    assert standby.value("trending_controller_decides") == 0
    assert read(hourly).value("trending_controller_decides") == 1


def test_each_family_follows_prometheus_rules_of_naming(world: World) -> None:
    for family in read(world).families:
        if not family.name.startswith("trending_"):
            continue
        assert family.documentation.endswith("."), family.name
        for sample in family.samples:
            if family.type == "counter":
                assert sample.name.endswith("_total"), sample.name
            if family.type == "histogram":
                assert sample.name.removeprefix(family.name) in ("_bucket", "_sum", "_count", "_created")


async def test_passes_and_watches_and_the_queue_are_counted(world: World) -> None:
    async def good(key: Key) -> datetime | None:
        return at("09:00") if key == HOURLY else None

    async def bad(key: Key) -> datetime | None:
        raise ValueError(key)

    assert await world.metrics.timed(good)(HOURLY) == at("09:00")
    with pytest.raises(ValueError, match="hourly"):
        await world.metrics.timed(bad)(HOURLY)
    world.metrics.observe_queue(lambda: 7)
    world.metrics.observe_wait(0.2)
    world.metrics.observe_write("7")
    for kind, version in ((None, "6"), ("MODIFIED", "7"), ("MODIFIED", "8")):
        world.metrics.observe_watch("jobs", kind, version)
    told = read(world)
    assert told.value("trending_pass_duration_seconds_count", outcome="ended") == 1
    assert told.value("trending_pass_duration_seconds_count", outcome="failed") == 1
    assert told.value("trending_queue_depth") == 7
    assert told.value("trending_watch_events_total", resource="jobs", type="LISTED") == 1
    assert told.value("trending_watch_events_total", resource="jobs", type="MODIFIED") == 2
    assert told.value("trending_watch_delay_seconds_count", resource="jobs") == 1, "of our own writes only"
    assert told.value("trending_queue_wait_seconds_count") == 1


class Transport:
    """The Kubernetes client, answering all with one status; 0 where it does not answer."""

    def __init__(self, status: int) -> None:
        self.status = status

        self.default_headers: dict[str, str] = {}
        self.configuration = SimpleNamespace(host="https://kubernetes.example")

    async def update_params_for_auth(self, *_: Any) -> None:
        """Ask nobody who this is."""

    async def call_api(self, *_: Any, **__: Any) -> Any:
        if not self.status:
            raise TimeoutError

        async def read() -> bytes:
            return b'{"items": [], "metadata": {"resourceVersion": "5"}}'

        return SimpleNamespace(status=self.status, read=read, reason="", headers={})


async def test_each_api_request_is_told_by_verb_resource_and_answer(world: World) -> None:
    transport = Transport(200)
    kube = Kube(transport)  # type: ignore[arg-type]
    kube.answered = world.metrics.observe_request
    written: list[str] = []
    kube.wrote = written.append
    body = {"metadata": {"namespace": "default", "name": "hourly"}}
    await kube.get_schedule("default", "hourly")
    assert [page async for page, _ in kube.jobs()] == [[]]
    await kube.pods_of_job("default", "u")
    await kube.get_namespace("default")
    await kube.get_version()
    await kube.replace_status(body)
    await kube.create_event(body)
    transport.status = 409
    with pytest.raises(ApiException):
        await kube.create_job(body)
    transport.status = 0
    with pytest.raises(TimeoutError):
        await kube.delete_job("default", "hourly-1", uid="u")
    assert written == ["5"], "the status: no watch would ever deliver the event"
    told = {
        (labels["verb"], labels["resource"], labels["code"])
        for labels in map(dict, read(world).series("trending_api_request_duration_seconds_count"))
    }
    assert told == {
        ("get", "trendingschedules", "200"),
        ("list", "jobs", "200"),
        ("list", "pods", "200"),
        ("get", "namespaces", "200"),
        ("get", "/version", "200"),
        ("update", "trendingschedules/status", "200"),
        ("create", "events", "200"),
        ("create", "jobs", "409"),
        ("delete", "jobs", "error"),
    }


def ask(url: str, **headers: str) -> tuple[Message, bytes]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (the address is our own)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 (likewise)
        return answer.headers, answer.read()


def test_metrics_are_served_until_the_controller_stops(hourly: World) -> None:
    hourly.store.put_schedule(schedule_body())
    with hourly.metrics.served(0) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        headers, body = ask(url)
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert Scrape(body.decode()).of("trending_suspended") == 0
        headers, body = ask(url, **{"Accept-Encoding": "gzip"})
        assert headers["Content-Encoding"] == "gzip"
        assert Scrape(gzip.decompress(body).decode()).of("trending_suspended") == 0
        with pytest.raises(HTTPError, match="404"):
            ask(f"http://127.0.0.1:{port}/")
    with pytest.raises(OSError, match="refused"):
        ask(url)


async def test_the_quick_text_says_what_the_client_library_would(hourly: World) -> None:
    await hourly.look()
    await hourly.run("09:00", end="09:03")
    quick, library = read(hourly), Scrape(generate_latest(hourly.metrics.registry).decode())
    mine = [family for family in library.families if family.name.startswith("trending_")]
    assert mine == [family for family in quick.families if family.name.startswith("trending_")]
    assert {family.name for family in quick.families} >= OF_A_SCHEDULE


def test_many_schedules_are_written_in_many_pieces(world: World) -> None:
    for number in range(300):
        body = schedule_body()
        body["metadata"] |= {"name": f"hourly-{number:03}", "uid": f"u{number}"}
        world.store.put_schedule(body)
    pieces = list(world.metrics.text())
    assert max(len(piece) for piece in pieces) < len("".join(pieces)) / 5
    told = Scrape("".join(pieces))
    assert len(told.schedules) == 300
    assert [dict(labels)["schedule"] for labels in told.series("trending_suspended")] == sorted(told.schedules)
