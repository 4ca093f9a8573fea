"""One change of the cluster at a time, whichever clone or terminal asks."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.console import say


@contextmanager
def exclusive(path: Path, *, tell: Callable[[str], None] = say) -> Iterator[None]:
    """Hold an advisory lock on `path`; where another process has it, say which and wait until it ends.

    The kernel drops the lock with the process that holds it, however that ends: there is no stale lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            tell(f"Waiting for process {file.read().strip() or 'unknown'}, which is at work on the same cluster")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
