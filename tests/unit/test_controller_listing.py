"""What is listed where: everywhere, or in each of some namespaces, of which one or another may be closed or missing."""

from __future__ import annotations

import pytest

from tests.unit.kube import Clock, FakeKube, job_body, refusal, schedule_body
from trending.controller.kube import JsonObject
from trending.controller.listing import Listing, NotListedError
from trending.controller.store import Key, Store


def within(namespace: str, body: JsonObject, **metadata: str) -> JsonObject:
    return {**body, "metadata": {**body["metadata"], "namespace": namespace, "uid": f"{namespace}-1", **metadata}}


class Cluster:
    """The namespaces a, b and c, with a schedule and a Job in each."""

    def __init__(self, *watched: str) -> None:
        self.kube = FakeKube(Clock("09:30"))
        for namespace in ("a", "b", "c"):
            self.kube.apply(within(namespace, schedule_body()))
            self.kube.put_job(within(namespace, job_body("hourly-1")))
        self.store = Store(changed=lambda _: None)
        self.seconds = 0.0
        self.listing = Listing(kube=self.kube, store=self.store, namespaces=watched, clock=lambda: self.seconds)

    @property
    def schedules(self) -> list[str]:
        known = self.store.keys()
        return [key.namespace for key in known]

    @property
    def jobs(self) -> list[str]:
        return [name for name in ("a", "b", "c") if self.store.jobs(Key(name, "hourly"))]

    def delete_all(self, namespace: str) -> None:
        del self.kube._schedules[namespace, "hourly"]
        del self.kube._jobs[namespace, "hourly-1"]


async def test_without_a_list_of_namespaces_everything_is_listed() -> None:
    cluster = Cluster()
    await cluster.listing.resync()
    assert (cluster.schedules, cluster.jobs) == (["a", "b", "c"], ["a", "b", "c"])


async def test_with_a_list_each_is_listed_for_itself_and_nothing_else() -> None:
    cluster = Cluster("a", "c")
    cluster.kube.forbidden = {"", "b"}
    await cluster.listing.resync()
    assert (cluster.schedules, cluster.jobs) == (["a", "c"], ["a", "c"])


async def test_what_is_gone_from_a_namespace_is_forgotten_there_alone() -> None:
    cluster = Cluster("a", "b", "c")
    await cluster.listing.resync()
    cluster.delete_all("b")
    await cluster.listing.resync()
    assert (cluster.schedules, cluster.jobs) == (["a", "c"], ["a", "c"])


async def test_a_namespace_that_may_not_be_read_is_told_once_and_keeps_no_other_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster("a", "b", "c")
    cluster.kube.forbidden = {"b"}
    for _ in range(3):
        await cluster.listing.resync()
    assert cluster.schedules == ["a", "c"]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        "namespace b: schedules and Jobs cannot be listed: the service account may not; "
        "create the namespace, or give the controller's service account a Role in it"
    )
    cluster.kube.forbidden = set()
    with caplog.at_level("INFO"):
        await cluster.listing.resync()
    assert cluster.schedules == ["a", "c", "b"]
    assert caplog.records[-1].getMessage() == "namespace b: it can be read now"


async def test_a_namespace_that_cannot_be_read_any_more_keeps_what_is_known_of_it() -> None:
    """That is as when the API server does not answer: nothing is known to be gone."""
    cluster = Cluster("a", "b")
    await cluster.listing.resync()
    cluster.kube.forbidden = {"b"}
    cluster.delete_all("b")
    await cluster.listing.resync()
    assert cluster.schedules == ["a", "b"]


@pytest.mark.parametrize("readable", [True, False], ids=["with rights everywhere", "with Roles"])
async def test_a_namespace_that_is_not_there_is_told_as_such(readable: bool, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster("a", "nowhere")
    cluster.kube.missing = {"nowhere"}
    cluster.kube.forbidden = set() if readable else {"nowhere"}
    await cluster.listing.resync()
    assert [record.getMessage() for record in caplog.records] == [
        "namespace nowhere: there is no such namespace; its schedules are taken up once it is there"
    ]
    assert cluster.schedules == ["a"]


async def test_where_none_may_be_read_that_is_an_error_which_names_each() -> None:
    cluster = Cluster("a", "b")
    cluster.kube.forbidden = {"a", "b"}
    with pytest.raises(NotListedError, match=r"no namespace of TRENDING_WATCH_NAMESPACES can be read: a: .*; b: "):
        await cluster.listing.resync()


async def test_an_api_server_that_fails_in_one_namespace_is_no_matter_of_rights() -> None:
    cluster = Cluster("a", "b")

    def fails(_: str | None = None) -> None:
        raise refusal(500, "etcd is slow")

    cluster.kube.jobs = fails  # type: ignore[method-assign, assignment]
    with pytest.raises(Exception, match="500"):
        await cluster.listing.resync()
