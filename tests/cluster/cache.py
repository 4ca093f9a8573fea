"""Results of slow steps, kept by a hash of their inputs and trusted only while their own hashes hold.

A result is a folder of plain files beside a MANIFEST.json with the inputs and each file's SHA-256. It is made in a
folder of its own and renamed into place, so a reader sees all of it or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST = "MANIFEST.json"
KEEP_SECONDS = 30 * 24 * 3600
"""How long a result that nothing asked for is kept once a newer one of the same step exists."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step's name and all that its result depends on; equal inputs give an equal key."""

    name: str
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name and 16 hexadecimal digits of SHA-256 over the inputs."""
        text = json.dumps({"name": self.name, "inputs": dict(self.inputs)}, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class StepCache:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verified: set[str] = set()

    def get(self, step: Step) -> Path | None:
        """Return the folder of the step's result, or None where there is none or it is damaged.

        Every file is read and compared with its hash, once a process.
        """
        result = self._folder / step.key
        if step.key not in self._verified:
            if not _intact(result):
                return None
            self._verified.add(step.key)
            os.utime(result / MANIFEST)
        return result

    def build(self, step: Step, make: Callable[[Path], None]) -> Path:
        """Return the step's result, calling `make` with an empty folder to fill where it is missing or damaged."""
        found = self.get(step)
        if found:
            return found
        result = self._folder / step.key
        partial = self._folder / f".partial-{step.key}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            make(partial)
            _write_manifest(partial, step)
            shutil.rmtree(result, ignore_errors=True)
            partial.rename(result)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._verified.add(step.key)
        self._drop_unused(step)
        return result

    def _drop_unused(self, step: Step) -> None:
        """Remove older results of the same step that nothing has asked for in a while, and what killed builds left."""
        oldest = time.time() - KEEP_SECONDS
        for other in self._folder.glob(f"{step.name}-{'[0-9a-f]' * 16}"):
            manifest = other / MANIFEST
            if other.name != step.key and (not manifest.exists() or manifest.stat().st_mtime < oldest):
                shutil.rmtree(other)
        for partial in self._folder.glob(f".partial-{step.name}-*"):
            pid = partial.name.rpartition("-")[2]
            if not Path("/proc", pid).exists():
                shutil.rmtree(partial)


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_tree(*roots: Path) -> str:
    """The SHA-256 over names, executable bits and contents of all files below the roots, in hexadecimal."""
    digest = hashlib.sha256()
    for root in roots:
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
        for path in files:
            if "__pycache__" in path.parts:
                continue
            name = path.relative_to(root.parent).as_posix()
            executable = bool(path.stat().st_mode & 0o100)
            digest.update(f"{name}\0{executable:d}\0{digest_of_file(path)}\n".encode())
    return digest.hexdigest()


def _write_manifest(folder: Path, step: Step) -> None:
    files = {
        path.relative_to(folder).as_posix(): {"sha256": digest_of_file(path), "size": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"step": step.name, "inputs": dict(step.inputs), "files": files}, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n")


def _intact(folder: Path) -> bool:
    """Whether the folder has a manifest and each file is as it says."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return all(
            (folder / name).stat().st_size == entry["size"] and digest_of_file(folder / name) == entry["sha256"]
            for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False  # unreadable is damaged: it is made again, not repaired
