"""`:now` is bound where it is a value, and nowhere else."""

import pytest

from trending.runner.failure import ConfigurationError
from trending.runner.now_parameter import bind_now

NOW = "($1::timestamptz)"


@pytest.mark.parametrize(
    ("query", "bound"),
    [
        ("SELECT :now", f"SELECT {NOW}"),
        ("SELECT :now, :now", f"SELECT {NOW}, {NOW}"),
        ("SELECT :now::timestamp", f"SELECT {NOW}::timestamp"),
        ("SELECT a-:now", f"SELECT a-{NOW}"),
        ("SELECT 1:now", f"SELECT 1{NOW}"),
        ("SELECT (:now)", f"SELECT ({NOW})"),
        ("SELECT 'a' ':now' || :now", f"SELECT 'a' ':now' || {NOW}"),
        ("SELECT /* :now */ :now -- :now\n, :now", f"SELECT /* :now */ {NOW} -- :now\n, {NOW}"),
        ("SELECT /* /* :now */ :now */ :now", f"SELECT /* /* :now */ :now */ {NOW}"),
        ("SELECT $$ :now $$, :now", f"SELECT $$ :now $$, {NOW}"),
        ("SELECT $q$ $$ :now $q $q$, :now", f"SELECT $q$ $$ :now $q $q$, {NOW}"),
        ("SELECT $größe$ :now $größe$, :now", f"SELECT $größe$ :now $größe$, {NOW}"),
        ("SELECT a$q$, :now, b$q$", f"SELECT a$q$, {NOW}, b$q$"),
        (r"SELECT E'\' :now', :now", rf"SELECT E'\' :now', {NOW}"),
        (r"SELECT e'\\', :now, ' :now'", rf"SELECT e'\\', {NOW}, ' :now'"),
        (r"SELECT '\', :now, ' :now'", rf"SELECT '\', {NOW}, ' :now'"),
        ("SELECT E'a'\n  '\\' :now', :now", f"SELECT E'a'\n  '\\' :now', {NOW}"),
        ("SELECT E'a' -- x\n", "SELECT E'a' -- x\n"),
        ("SELECT name'\\', :now", f"SELECT name'\\', {NOW}"),
        ("SELECT 'it''s :now', :now", f"SELECT 'it''s :now', {NOW}"),
        ('SELECT ":now", "a"":now", :now', f'SELECT ":now", "a"":now", {NOW}'),
        ("SELECT U&'\\0041 :now', B'1', X'f', :now", f"SELECT U&'\\0041 :now', B'1', X'f', {NOW}"),
        ("SELECT a % 2, '%s', '{}', :now", f"SELECT a % 2, '%s', '{{}}', {NOW}"),
    ],
)
def test_now_is_bound_where_it_is_a_value(query: str, bound: str) -> None:
    found = bind_now(query)
    assert found.text == bound
    assert found.uses_now == (NOW in bound)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a::now",
        "SELECT :nowhere, :now_, :now1, :now$, :nowé, :now€",
        "SELECT ':now",
        'SELECT ":now',
        "SELECT $a$ :now",
        "SELECT /* :now",
        "SELECT E'\\' :now",
        "SELECT :NOW, : now, now()",
        "",
    ],
)
def test_the_same_letters_elsewhere_stay(query: str) -> None:
    found = bind_now(query)
    assert found.text == query
    assert not found.uses_now


@pytest.mark.parametrize("query", ["SELECT 1;", "SELECT 1 ; -- done\n", "SELECT 1; /* a; b */ "])
def test_a_semicolon_at_the_end_is_left_out(query: str) -> None:
    assert ";" not in bind_now(query).text.replace("/* a; b */", "")


@pytest.mark.parametrize("query", ["SELECT 1; SELECT 2", "SELECT 1;;", "; SELECT 1", "SELECT 1; DROP TABLE x -- ;"])
def test_more_than_one_statement_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="more than one statement"):
        bind_now(query)


def test_semicolons_in_quotes_are_no_statements() -> None:
    query = "SELECT ';', $$;$$, \";\" /* ; */ -- ;"
    assert bind_now(query).text == query


@pytest.mark.parametrize("query", ["SELECT $1", "SELECT :now + $1", "SELECT $2::int"])
def test_parameters_of_the_users_own_are_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="parameter of its own"):
        bind_now(query)


def test_a_long_hostile_query_is_read_in_no_time() -> None:
    for query in ("E'a'" + "\n" * 8000, "E'" + "\\'" * 4000, "/*" * 4000, "$a" * 4000, "'" * 8191, ":" * 8192):
        bind_now(query)
