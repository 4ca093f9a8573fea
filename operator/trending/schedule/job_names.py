"""Names of Jobs. A name is the lock that makes a slot, or a request, run at most once, whatever dies when."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Final

_SLOT: Final = re.compile(r".+-([0-9]{8,9})")
"""Minutes since the epoch: those of 1989 have eight digits, those of 2160 nine."""
_MANUAL: Final = re.compile(r".+-m[0-9a-f]{8}")


def slot_job_name(schedule: str, slot: datetime) -> str:
    """Return `<schedule>-<slot in minutes since the epoch>`, the name that a CronJob's Job would have."""
    return f"{schedule}-{int(slot.timestamp()) // 60}"


def manual_job_name(schedule: str, request: str) -> str:
    """Return `<schedule>-m<8 hexadecimal digits of the request>`; the same request always gives the same name."""
    return f"{schedule}-m{hashlib.sha256(request.encode()).hexdigest()[:8]}"


def is_manual_name(job: str) -> bool:
    """Tell whether a Job of this name was started by hand; the name of a slot's Job ends in digits alone."""
    return _MANUAL.fullmatch(job) is not None


def slot_minute(job: str) -> datetime | None:
    """Return the minute of the slot that a Job's name tells; None where it tells none."""
    found = _SLOT.fullmatch(job)
    return None if found is None else datetime.fromtimestamp(int(found[1]) * 60, UTC)
