"""The images that others are built on: pulled where a registry answers, else made from Debian's packages.

Both kinds keep one contract, so that the Dockerfile and the manifests need not know which one they got:

- Python's base: python3 of the pinned minor with its standard library.
- PostgreSQL's: the binaries of PostgreSQL 15 on PATH, and the user and group `postgres` with the number 999.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import debian_root
from tests.cluster.cache import StepCache
from tests.cluster.console import step
from tests.cluster.debian_root import Root
from tests.cluster.engine import Engine
from tests.cluster.folders import Folders
from tests.cluster.registry import pull
from tests.cluster.versions import POSTGRES_IMAGE, PYTHON_IMAGE

POSTGRES_UID = 999
POSTGRES_BINARIES = "/usr/lib/postgresql/15/bin"
POSTGRES_TAG = "trending-postgres:15"
POSTGRES_UNWANTED = (
    # LLVM only speeds some queries up; where its module is absent the server goes without
    *(
        "usr/lib/postgresql/15/lib/bitcode",
        "usr/lib/postgresql/15/lib/llvmjit*",
        "usr/lib/*/libLLVM*",
        "usr/lib/*/libz3*",
    ),
    # Debian's tools around the server are written in Perl; the server is not
    *("usr/share/perl", "usr/share/perl5", "usr/lib/*/perl", "usr/lib/*/libperl.so*", "usr/share/i18n"),
    # the cluster that the package makes while it is installed
    *("var/lib/postgresql/15", "etc/postgresql/15"),
)
PYTHON_UNWANTED = ("usr/lib/*/gconv", "usr/share/zoneinfo", "usr/lib/python3*/pydoc_data", "usr/lib/python3*/lib2to3")
"""Python has codecs of its own, and the operator its zones from the tzdata package."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Base:
    """An official image, and the Debian root that stands in for it with the instructions of its import."""

    official: str
    root: Root
    changes: tuple[str, ...]


def _finish_python(_root: Path, _log: Path) -> None:
    """Nothing: Debian's packages are complete."""


def _finish_postgres(root: Path, log: Path) -> None:
    """Give the user the official image's number."""
    chroot = debian_root.chroot
    chroot(root, "groupmod", "--gid", str(POSTGRES_UID), "postgres", log=log)
    chroot(root, "usermod", "--uid", str(POSTGRES_UID), "postgres", log=log)
    chroot(root, "chown", "--recursive", "postgres:postgres", "/var/lib/postgresql", "/var/run/postgresql", log=log)
    chroot(root, "chmod", "2775", "/var/run/postgresql", log=log)


PYTHON_BASE = Base(
    official=PYTHON_IMAGE,
    root=Root(
        name="python-base",
        packages=("ca-certificates", "python3"),
        unwanted=PYTHON_UNWANTED,
        finish=_finish_python,
        revision="none",
    ),
    changes=(f"ENV PATH={SYSTEM_PATH}", "ENV LANG=C.UTF-8", 'CMD ["python3"]'),
)
POSTGRES_BASE = Base(
    official=POSTGRES_IMAGE,
    root=Root(
        name="postgres-base",
        packages=("postgresql-15",),
        unwanted=POSTGRES_UNWANTED,
        finish=_finish_postgres,
        revision="1",
    ),
    changes=(
        f"ENV PATH={POSTGRES_BINARIES}:{SYSTEM_PATH}",
        "ENV LANG=C.UTF-8",
        f"USER {POSTGRES_UID}:{POSTGRES_UID}",
        'CMD ["postgres"]',
    ),
)


def provide(base: Base, *, engine: Engine, folders: Folders, cache: StepCache) -> str:
    """Return a tag of the base in the engine: what it holds already, else pulled, else made; raises ClusterError."""
    made = f"trending/{base.root.step().key.replace('-base-', '-base:')}"
    for tag in (base.official, made):
        if engine.image_id(tag):
            return tag
    if pull(base.official, engine=engine, folders=folders):
        return base.official
    with step(
        f"Making {made} with debootstrap, since {base.official} cannot be pulled", usually="45 s; 3 s when cached"
    ):
        tarball = debian_root.build(base.root, folders, cache)
        log = folders.logs / f"{base.root.name}.log"
        engine.import_root(tarball, made, list(base.changes), log=log)
    return made


def postgres_image(*, engine: Engine, folders: Folders, cache: StepCache) -> str:
    """Provide PostgreSQL 15 under one tag, for the demonstration and the end-to-end tests; returns the tag."""
    tag = provide(POSTGRES_BASE, engine=engine, folders=folders, cache=cache)
    engine.run("tag", tag, POSTGRES_TAG, what=f"Tagging {POSTGRES_TAG}", log=folders.logs / "postgres-image.log")
    return POSTGRES_TAG
