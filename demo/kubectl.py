"""kubectl and helm as functions: JSON in and out by pipes, so that no secret stands in an argument."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from demo.errors import DemoError
from tests.cluster import verbs

Manifest = Mapping[str, Any]

POD_SECURITY_LABEL: Final = "pod-security.kubernetes.io/enforce"
RESTRICTED: Final = "restricted"
_SECONDS: Final = 120.0
"""How long a command may take that takes a second: machines that run clusters have bad minutes."""


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """A cluster, by the environment that its programs need: KUBECONFIG, PATH, DOCKER_HOST."""

    env: Mapping[str, str]

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = _SECONDS) -> str:
        """Return what `kubectl arguments` printed; raises DemoError with what it complained of."""
        return self.program("kubectl", *arguments, stdin=stdin, timeout=timeout)

    def program(self, name: str, *arguments: str, stdin: str | None = None, timeout: float = _SECONDS) -> str:
        """Return what a program printed that speaks to this cluster; `timeout` in seconds; raises DemoError."""
        shown = " ".join((name, *arguments))
        try:
            done = subprocess.run(
                [name, *arguments],
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                env=self.environment(),
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise DemoError(f"{name} is not on PATH.", look="make cluster") from None
        except subprocess.TimeoutExpired:
            raise DemoError(f"`{shown}` did not end within {timeout:.0f} s.", look=shown) from None
        if done.returncode:
            raise DemoError(f"`{shown}` failed: {_complaint(done.stderr)}", look=shown)
        return done.stdout

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run kubectl beside: its output, errors among it, comes by line from a pipe; it is ended with the block."""
        process = subprocess.Popen(
            ["kubectl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            if process.stdout:
                process.stdout.close()

    def watch(
        self, kind: str, *, namespace: str, name: str | None = None, selector: str | None = None, tick: float
    ) -> Iterator[dict[str, Any] | None]:
        """Yield the objects of a kind, then each that changes; None where `tick` seconds pass without a change.

        It goes on until the caller stops asking; raises DemoError where the watch ends by itself.
        """
        chosen = ((name,) if name else ()) + ((f"--selector={selector}",) if selector else ())
        arguments = (*_in(namespace), "get", kind, *chosen, "--watch", '--output=jsonpath={@}{"\\n"}')
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        with self.started(*arguments) as process:
            threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
            while True:
                try:
                    line = lines.get(timeout=tick)
                except queue.Empty:
                    yield None
                    continue
                if not line.startswith("{"):
                    look = f"kubectl -n {namespace} get {kind}"
                    raise DemoError(f"Watching {kind} ended: {line.strip() or 'no reason given'}", look=look)
                yield json.loads(line)

    def environment(self) -> dict[str, str]:
        """Return the whole environment of a program that is to reach this cluster."""
        return {**os.environ, **self.env}

    def apply(self, *manifests: Manifest, namespace: str | None = None) -> None:
        """Apply objects; not for Secrets, which `kubectl apply` would keep a second time in an annotation."""
        self.run(*_in(namespace), "apply", "--filename=-", stdin=_as_list(manifests))

    def create(self, *manifests: Manifest, namespace: str | None = None) -> None:
        """Create objects that are not there."""
        self.run(*_in(namespace), "create", "--filename=-", stdin=_as_list(manifests))

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> dict[str, Any] | None:
        """Return one object, or None where there is none of the name."""
        printed = self.run(*_in(namespace), "get", kind, name, "--ignore-not-found", "--output=json")
        found: dict[str, Any] | None = json.loads(printed) if printed.strip() else None
        return found

    def list(self, kind: str, *, namespace: str | None = None, selector: str | None = None) -> list[dict[str, Any]]:
        """Return the objects of a kind, those that a label selector picks."""
        chosen = (f"--selector={selector}",) if selector else ()
        printed = self.run(*_in(namespace), "get", kind, *chosen, "--output=json")
        items: list[dict[str, Any]] = json.loads(printed)["items"]
        return items

    def ensure_namespace(self, name: str) -> None:
        """Have a namespace that admits only pods within Pod Security's level "restricted"."""
        labels = {POD_SECURITY_LABEL: RESTRICTED}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def connect() -> Kubectl:
    """Return the cluster that `make cluster` brought up; raises ClusterError where none is up."""
    return Kubectl(env=verbs.environment())


def _pump(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Pass a program's lines on; an empty one says that it has ended."""
    if process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def _in(namespace: str | None) -> tuple[str, ...]:
    return (f"--namespace={namespace}",) if namespace else ()


def _as_list(manifests: Sequence[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _complaint(stderr: str) -> str:
    """What a program complains of, on one line, less its warnings and what kubectl puts before each line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Warning:", "WARNING:"))] or ["it said nothing"]
    return " ".join(line.removeprefix("error: ").removeprefix("Error: ").removeprefix("* ") for line in lines)[:1000]
