"""Fields of cron expressions, drawn at random."""

from hypothesis import strategies as st


def field(least: int, most: int) -> st.SearchStrategy[str]:
    """Draw a field of a cron expression, of numbers from `least` to `most`."""
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, most).map("*/{}".format),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.lists(number, min_size=2, max_size=5).map(lambda numbers: ",".join(map(str, numbers))),
    )
