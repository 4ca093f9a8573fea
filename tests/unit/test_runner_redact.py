"""Secrets do not leave the runner with a driver's text."""

import re
from urllib.parse import quote

import psycopg
import pytest

from trending.runner.redact import Redactor

URI = "postgresql://u:p%40ss-word@h/d"


@pytest.mark.parametrize("password", ["p@ss-word", "пароль/%", "a.*(b+c)", "[hidden]"])
def test_a_password_is_hidden_in_each_encoding(password: str) -> None:
    redactor = Redactor(URI, password)
    encoded = quote(password, safe="")
    lower = re.sub("%..", lambda found: found[0].lower(), encoded)
    mixed = password[:3] + quote(password[3:], safe="")
    everything = "".join(f"%{byte:02X}" for byte in password.encode())
    for form in (password, encoded, lower, mixed, everything):
        assert redactor.text(f"before {form} after").replace("[hidden]", "", 1) == "before  after"


def test_the_uri_is_hidden_as_a_whole() -> None:
    assert Redactor(URI).text(f"bad URI {URI}!") == "bad URI [hidden]!"


def test_without_secrets_texts_stay() -> None:
    assert Redactor("", None, "").text("nothing to hide") == "nothing to hide"


def test_every_secret_is_hidden() -> None:
    assert Redactor(URI, "first-secret", "second-secret").text("first-secret second-secret") == "[hidden] [hidden]"


def test_a_short_password_hides_the_drivers_whole_text() -> None:
    redactor = Redactor(URI, "abc")
    assert "abc" not in redactor.driver_text(psycopg.OperationalError("bad abc here"))
    error = psycopg.errors.UndefinedTable("abc is missing")
    assert redactor.driver_text(error).startswith("the server answered SQLSTATE 42P01; its text is left out")


def test_a_drivers_text_is_one_line() -> None:
    error = psycopg.OperationalError("connection failed:\n\tno route\n")
    assert Redactor(URI).driver_text(error) == "connection failed: no route"


def test_texts_of_others_are_left_out_where_a_secret_cannot_be_hidden_in_them() -> None:
    assert "abc" not in Redactor(URI, "abc").foreign("Traceback: abc")
    assert Redactor(URI, "abc-def").foreign("Traceback: abc-def") == "Traceback: [hidden]"


def test_of_a_host_with_several_addresses_one_failure_is_told() -> None:
    with pytest.raises(psycopg.OperationalError) as failed:
        psycopg.connect("host=127.0.0.1,127.0.0.2 port=1 connect_timeout=2")
    assert "All failures were" in str(failed.value)
    told = Redactor("").driver_text(failed.value)
    assert "Connection refused" in told
    assert "attempts failed" not in told
    assert not told.endswith(" ")
