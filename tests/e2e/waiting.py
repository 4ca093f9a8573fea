"""Waiting for a cluster to be as a test expects: woken by kubectl's watch, judged on a fresh list, with a deadline."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from demo.kubectl import Kubectl
from tests.waiting import SECONDS, Found, TooLateError

Object = dict[str, Any]

_LOOK_AGAIN_SECONDS: Final = 2.0
"""A watch says nothing of what goes between the first look and the watch's own beginning."""


def until_objects(
    kubectl: Kubectl,
    kind: str,
    condition: Callable[[list[Object]], Found | None],
    *,
    what: str,
    namespace: str,
    selector: str | None = None,
    seconds: float = SECONDS,
) -> Found:
    """Wait until `condition` of the objects of a kind is true, and return what it returned; raises TooLateError.

    Each change wakes it, deletions too; it looks at all of them anew then, so that no half of a list is judged.
    """
    deadline = time.monotonic() + seconds
    with _changes(kubectl, kind, namespace, selector) as changes:
        while True:
            objects = kubectl.list(kind, namespace=namespace, selector=selector)
            found = condition(objects)
            if found:
                return found
            if time.monotonic() > deadline:
                names = ", ".join(each["metadata"]["name"] for each in objects) or "none"
                raise TooLateError(f"{what}: this did not come about within {seconds:.0f} s; {kind} there are: {names}")
            with contextlib.suppress(queue.Empty):
                changes.get(timeout=_LOOK_AGAIN_SECONDS)
            while not changes.empty():
                changes.get()


@contextmanager
def _changes(kubectl: Kubectl, kind: str, namespace: str, selector: str | None) -> Iterator[queue.SimpleQueue[str]]:
    """Give a queue that gets an entry for each change of an object of a kind, and for each object there is."""
    chosen = (f"--selector={selector}",) if selector else ()
    arguments = ("get", kind, *chosen, "--watch", "--output-watch-events", '--output=jsonpath={.type}{"\\n"}')
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    with kubectl.started(f"--namespace={namespace}", *arguments) as process:
        reader = threading.Thread(target=_pump, args=(process, lines))
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            reader.join()


def _pump(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    if process.stdout:
        for line in process.stdout:
            lines.put(line)
