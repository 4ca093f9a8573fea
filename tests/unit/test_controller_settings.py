"""What the controller is told by its environment."""

from __future__ import annotations

import pytest

from trending.controller.settings import Settings

IMAGE = {"TRENDING_RUN_IMAGE": "registry.example/trending:1"}


def test_alone_and_everywhere_is_what_it_is_unless_told_otherwise() -> None:
    settings = Settings.from_environment(IMAGE)
    assert (settings.leader_election, settings.watch_namespaces) == (False, ())
    assert (settings.lease_name, settings.health_port) == ("trending-operator", 8080)


def test_the_election_is_as_the_environment_says() -> None:
    settings = Settings.from_environment(
        IMAGE
        | {
            "TRENDING_LEADER_ELECTION": "true",
            "TRENDING_LEASE_NAME": "mine",
            "POD_NAMESPACE": "trending-system",
            "POD_NAME": "trending-operator-7d-x",
        }
    )
    assert settings.leader_election
    assert (settings.namespace, settings.lease_name) == ("trending-system", "mine")
    assert settings.instance == "trending-operator-7d-x"


@pytest.mark.parametrize(
    ("value", "read"),
    [("", ()), (" ", ()), ("a", ("a",)), ("a,b-2", ("a", "b-2")), (" b , a,, b", ("b", "a"))],
)
def test_namespaces_are_read_from_a_list_with_commas(value: str, read: tuple[str, ...]) -> None:
    assert Settings.from_environment(IMAGE | {"TRENDING_WATCH_NAMESPACES": value}).watch_namespaces == read


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"TRENDING_WATCH_NAMESPACES": "team-*"}, "names 'team-\\*', which is no namespace's name: write names with"),
        ({"TRENDING_WATCH_NAMESPACES": "a;b"}, "names 'a;b'"),
        ({"TRENDING_LEADER_ELECTION": "yes", "POD_NAMESPACE": "n"}, "TRENDING_LEADER_ELECTION is 'yes': write true or"),
        ({"TRENDING_HEALTH_PORT": "http"}, "TRENDING_HEALTH_PORT is 'http': write a port's number, such as 8080"),
        ({"TRENDING_METRICS_PORT": "65536"}, "TRENDING_METRICS_PORT is '65536': write a port's number, such as 8081"),
        ({"TRENDING_LEADER_ELECTION": "true"}, "POD_NAMESPACE is not set: it names the namespace of the Lease"),
    ],
)
def test_what_is_wrong_is_said_with_the_variable_and_what_to_write(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Settings.from_environment(IMAGE | wrong)


def test_two_that_are_not_told_their_names_are_two_in_the_election() -> None:
    environment = IMAGE | {"TRENDING_LEADER_ELECTION": "true", "POD_NAMESPACE": "n"}
    assert len({Settings.from_environment(environment).instance for _ in range(2)}) == 2
