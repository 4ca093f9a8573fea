"""The node's image: kind's own where it can be pulled, else made by kind's own unmodified builder.

`kind build node-image --type file` wants a Kubernetes server archive and pulls whatever images the archive lacks. Ours
holds four image archives that carry every tag kind would pull, so nothing is pulled. kind imports the four at once: a
tag may be in one of them only.
"""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster import base_images, control_plane_image, debian_root, gobuild, node_root, process
from tests.cluster.archive import write_image
from tests.cluster.cache import Step, StepCache
from tests.cluster.console import step
from tests.cluster.engine import Engine
from tests.cluster.errors import ClusterError
from tests.cluster.folders import SOURCES, Folders
from tests.cluster.registry import pull
from tests.cluster.versions import KUBERNETES, NODE_IMAGE

BASE_CHANGES = (
    "ENV container=docker",
    "STOPSIGNAL SIGRTMIN+3",
    'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]',
)
PROGRAMS = (gobuild.KUBELAB, gobuild.COREDNS, gobuild.LOCAL_PATH, gobuild.PAUSE, gobuild.KIND)
TARBALL = "node.tar"


def provide(*, engine: Engine, folders: Folders, cache: StepCache) -> str:
    """Return a tag of the node's image in the engine: what it holds already, else pulled, else made."""
    wanted = _step(folders, cache)
    made = f"trending/node:{wanted.key.removeprefix('node-image-')}"
    for tag in (NODE_IMAGE, made):
        if engine.image_id(tag):
            return tag
    if pull(NODE_IMAGE, engine=engine, folders=folders):
        return NODE_IMAGE
    found = cache.get(wanted)
    if found:
        with step(f"Loading the node's image {made} into the engine", usually="10 s"):
            engine.run(
                "load", "--input", found / TARBALL, what="Loading the node's image", log=folders.logs / "node-image.log"
            )
    else:
        cache.build(wanted, lambda into: _make(made, into, engine=engine, folders=folders, cache=cache))
    return made


def _step(folders: Folders, cache: StepCache) -> Step:
    inputs = {program.name: program.step().key for program in PROGRAMS}
    sources = [Path(__file__), Path(control_plane_image.__file__), SOURCES / "archive.py", SOURCES / "kindnetd"]
    return Step(
        name="node-image",
        inputs={**inputs, "root": node_root.root(folders, cache).step().key, "made": debian_root.revision_of(*sources)},
    )


def _make(tag: str, into: Path, *, engine: Engine, folders: Folders, cache: StepCache) -> None:
    """Build the programs, the root and the server archive, and let kind put them together."""
    log = folders.logs / "node-image.log"
    programs, root = _ingredients(folders, cache)
    here = folders.work / "node-image"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    base = f"{tag}-base"
    try:
        with step("Packing the Kubernetes server archive", usually="25 s"):
            server = _server_archive(programs, root, here, log=log)
        with step("Building the node's image with kind", usually="35 s"):
            engine.import_root(root, base, list(BASE_CHANGES), log=log)
            argv: list[str | Path] = [programs["kind"], "build", "node-image", "--type", "file"]
            argv += ["--base-image", base, "--image", tag, server]
            process.run(argv, what="kind build node-image", log=log, env=engine.env)
            engine.run("save", "--output", into / TARBALL, tag, what="Saving the node's image", log=log)
    finally:
        engine.docker("image", "rm", base)
        shutil.rmtree(here)


def _ingredients(folders: Folders, cache: StepCache) -> tuple[dict[str, Path], Path]:
    """Return the programs and the tarred root.

    debootstrap waits for the disk while the compiler wants the processor: they run side by side. The operator's base is
    made on the way: where the node's image cannot be pulled, that one cannot either.
    """
    programs = {program.name: gobuild.build(program, folders, cache) for program in PROGRAMS if program.quick}
    roots = (node_root.root(folders, cache), base_images.PYTHON_BASE.root)
    with ThreadPoolExecutor(max_workers=1) as aside:
        making = aside.submit(lambda: [debian_root.build(root, folders, cache) for root in roots])
        programs |= {program.name: gobuild.build(program, folders, cache) for program in PROGRAMS if not program.quick}
        with step(
            "Waiting for debootstrap, which makes the node's file system meanwhile",
            usually="0 s; 2 min when Go had its part cached",
        ):
            root = making.result()[0]
    return programs, root


def _server_archive(programs: dict[str, Path], root: Path, here: Path, *, log: Path) -> Path:
    """Write the archive that kind's builder reads: kubelet, kubeadm, kubectl and four image archives."""
    binaries = here / "kubernetes/server/bin"
    binaries.mkdir(parents=True)
    (here / "kubernetes/version").write_text(f"{KUBERNETES}\n")
    tags = _tags(programs["kubelab"], gobuild.module_folder(gobuild.KIND, log))
    unpacked = here / "root"
    unpacked.mkdir()
    process.run(
        ["tar", "--extract", "--file", root, "--directory", unpacked], what="Unpacking the node's root", log=log
    )

    control_plane = here / "control-plane"
    control_plane_image.fill(control_plane, root=unpacked, kubelab=programs["kubelab"])
    entrypoint = ["/usr/local/bin/kindnetd"]
    write_image(binaries / "kube-apiserver.tar", control_plane, entrypoint=entrypoint, tags=tags["control plane"])
    for archive, name in (
        ("kube-controller-manager", "coredns"),
        ("kube-scheduler", "pause"),
        ("kube-proxy", "local-path-provisioner"),
    ):
        layer = here / name
        path = layer / "usr/local/bin" / name
        path.parent.mkdir(parents=True)
        shutil.copy2(programs[name], path)
        write_image(binaries / f"{archive}.tar", layer, entrypoint=[f"/usr/local/bin/{name}"], tags=tags[name])

    shutil.copy2(programs["kubelab"], binaries / "kubelet")
    for name in ("kubeadm", "kubectl"):
        (binaries / name).write_text(f'#!/bin/bash\nexec -a {name} /usr/bin/kubelet "$@"\n')
        (binaries / name).chmod(0o755)
    server = here / "server.tar.gz"
    process.run(
        ["tar", "--create", "--use-compress-program", "gzip -1", "--file", server, "--directory", here, "kubernetes"],
        what="Packing the server archive",
        log=log,
    )
    return server


def _tags(kubelab: Path, kind: Path) -> dict[str, list[str]]:
    """Return every image that kind would pull, by the layer that stands in for it; `kind` is its source folder.

    The names come from where kind and kubeadm have them: kind's source, its containerd configuration, and
    `kubeadm config images list`.
    """
    listed = process.output([kubelab, "kubeadm", "config", "images", "list", "--kubernetes-version", KUBERNETES])
    if not listed:
        raise ClusterError(
            f"`{kubelab} kubeadm config images list` printed nothing, so the node's images have no names"
        )
    kubernetes = listed.split()
    sources = "\n".join(path.read_text() for path in sorted((kind / "pkg/build/nodeimage").glob("const_*.go")))
    kindnetd, provisioner, path_helper = (
        _only(rf'"(docker\.io/kindest/{name}:[^"]+)"', sources)
        for name in ("kindnetd", "local-path-provisioner", "local-path-helper")
    )
    sandbox = _only(
        r'sandbox_image = "([^"]+)"', (kind / "images/base/files" / node_root.CONTAINERD_CONFIG).read_text()
    )
    return {
        "control plane": [*(tag for tag in kubernetes if "kube-" in tag or "/etcd:" in tag), kindnetd, path_helper],
        "coredns": [tag for tag in kubernetes if "/coredns:" in tag],
        "pause": sorted({sandbox, *(tag for tag in kubernetes if "/pause:" in tag)}),
        "local-path-provisioner": [provisioner],
    }


def _only(pattern: str, text: str) -> str:
    """The one distinct match of a pattern's group; raises ClusterError."""
    found = set(re.findall(pattern, text))
    if len(found) != 1:
        raise ClusterError(f"kind's source was expected to name one image matching {pattern} and names {sorted(found)}")
    return str(found.pop())
