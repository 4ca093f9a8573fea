"""Zones come from the pinned tzdata package, by the names that Kubernetes accepts."""

from datetime import UTC, datetime, timedelta

import pytest

from trending.schedule.zone import UnknownTimeZoneError, load_zone


@pytest.mark.parametrize(
    "name", ["Etc/UTC", "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "US/Eastern"]
)
def test_a_zone_is_found_by_its_iana_name(name: str) -> None:
    assert load_zone(name).key == name


def test_a_zone_knows_daylight_saving_beyond_its_table_of_changes() -> None:
    berlin = load_zone("Europe/Berlin")
    assert datetime(2055, 7, 1, tzinfo=UTC).astimezone(berlin).utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Local",
        "local",
        "Mars/Olympus",
        "../../etc/passwd",
        "/etc/localtime",
        "zones",
        "Europe",
        "Europe/",
        "Europe/Berlin ",
        "Europe//Berlin",
        "Europe/Berlin\n",
        "tzdata.zi",
        "+01:00",
    ],
)
def test_what_is_no_zone_is_told_with_what_to_write(name: str) -> None:
    with pytest.raises(UnknownTimeZoneError, match="write an IANA name such as Etc/UTC or Europe/Berlin") as refusal:
        load_zone(name)
    assert repr(name) in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "meant"), [("europe/berlin", "Europe/Berlin"), ("utc", "UTC"), ("ETC/UTC", "Etc/UTC")]
)
def test_a_zone_in_other_letters_is_none_but_the_one_meant_is_named(name: str, meant: str) -> None:
    with pytest.raises(UnknownTimeZoneError, match=f"did you mean {meant}"):
        load_zone(name)
