# ruff: noqa: INP001 (Python imports it as it lies there)
"""Sets the controller's wall clock wrong by as many seconds as TRENDING_TEST_SKEW_SECONDS says.

Python imports this before anything else where the folder is in PYTHONPATH.
"""

import os
from datetime import UTC, datetime, timedelta

from trending.controller import scheduler

_SKEW = timedelta(seconds=float(os.environ["TRENDING_TEST_SKEW_SECONDS"]))


def utc_now() -> datetime:
    return datetime.now(UTC) + _SKEW


scheduler.utc_now = utc_now
