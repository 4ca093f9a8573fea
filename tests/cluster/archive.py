"""Image archives as `docker load` and containerd read them, made of one layer without any engine."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Sequence
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write_image(archive: Path, layer: Path, *, entrypoint: Sequence[str], tags: Sequence[str]) -> None:
    """Write an archive of one image under several tags; the same folder gives the same bytes."""
    content = _tar(layer)
    digest = hashlib.sha256(content).hexdigest()
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "config": {"Entrypoint": list(entrypoint), "Env": [f"PATH={PATH}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": list(tags), "Layers": [f"{digest}.tar"]}]).encode()
    with tarfile.open(archive, "w") as out:
        for member, data in ((name, config), ("manifest.json", manifest), (f"{digest}.tar", content)):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))


def _tar(folder: Path) -> bytes:
    """Tar a folder by name, owned by root, without times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for path in sorted(folder.rglob("*")):
            out.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_anonymous)
    return buffer.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
