"""The kind cluster itself: created, asked for its health, loaded with images, deleted."""

from __future__ import annotations

from pathlib import Path

from tests.cluster import base_images, node_image, process, smoke, state, toolchain
from tests.cluster.cache import StepCache
from tests.cluster.console import say, step
from tests.cluster.engine import Engine
from tests.cluster.errors import ClusterError
from tests.cluster.folders import Folders

CLUSTER = "trending"
NODE = f"{CLUSTER}-control-plane"
NETWORK = "kind"
CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: {name}
nodes:
- role: control-plane
  image: {image}
containerdConfigPatches:
- |
  # Without "volatile" the end of each container waits until all that this machine has still to write is on the disk.
  [plugins."io.containerd.snapshotter.v1.overlayfs"]
    mount_options = ["volatile"]
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  # since 1.35 the kubelet refuses to start on hosts of cgroup v1 unless told otherwise
  failCgroupV1: false
- |
  kind: ClusterConfiguration
  # On a slow disk each write of etcd waits for its fsync. Then the leaders of the one node's control plane lose their
  # leases, to nobody, and start anew with longer and longer pauses. A cluster for tests may lose its last words.
  etcd:
    local:
      extraArgs:
        unsafe-no-fsync: "true"
  controllerManager:
    extraArgs:
      leader-elect: "false"
  scheduler:
    extraArgs:
      leader-elect: "false"
"""


def environment(folders: Folders, engine: Engine) -> dict[str, str]:
    """What kubectl, helm, kind and docker need in their environment to reach this cluster."""
    cache = str(folders.state / "kube-cache")  # else kubectl writes into ~/.kube
    return {**engine.env, "PATH": folders.search_path, "KUBECONFIG": str(folders.kubeconfig), "KUBECACHEDIR": cache}


def answers(folders: Folders, engine: Engine) -> bool:
    """Whether the node runs and is Ready."""
    if engine.docker("inspect", "--format", "{{.State.Running}}", NODE) != "true":
        return False
    ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    env = environment(folders, engine)
    nodes = process.output(["kubectl", "get", "nodes", "-o", ready, "--request-timeout=5s"], env=env)
    return nodes == "True"


def create(*, engine: Engine, folders: Folders, cache: StepCache) -> None:
    """Create the cluster anew and wait until its DNS answers; raises ClusterError."""
    log = folders.logs / "kind.log"
    env = environment(folders, engine)
    networks = (engine.docker("network", "ls", "--format", "{{.Name}}") or "").split()
    existed = state.read(folders).get("network_existed", NETWORK in networks)
    image = node_image.provide(engine=engine, folders=folders, cache=cache)
    if engine.ours:
        toolchain.link_docker(folders)
    toolchain.provide(folders, cache)  # after the image, which may have brought a kubectl with it
    state.write(folders, {**state.read(folders), "network_existed": existed, "loaded": {}})
    config = folders.state / "kind.yaml"
    config.write_text(CONFIG.format(name=CLUSTER, image=image))
    with step(f"Creating the cluster {CLUSTER} with kind", usually="25 s"):
        older = ["kind", "delete", "cluster", "--name", CLUSTER]
        process.run(older, what="Removing an older cluster", log=log, env=env)
        argv: list[str | Path] = ["kind", "create", "cluster", "--config", config, "--wait", "180s"]
        argv += ["--kubeconfig", folders.kubeconfig]
        process.run(argv, what="kind create cluster", log=log, env=env)
    with step("Waiting for the cluster's own services", usually="10 s"):
        rollout = ["kubectl", "-n", "kube-system", "rollout", "status", "deploy/coredns", "ds/kube-proxy", "ds/kindnet"]
        process.run([*rollout, "--timeout=180s"], what="The cluster's own services", log=log, env=env)
        storage = ["kubectl", "-n", "local-path-storage", "rollout", "status", "deploy/local-path-provisioner"]
        process.run([*storage, "--timeout=180s"], what="The cluster's storage", log=log, env=env)


def load(*tags: str, engine: Engine, folders: Folders) -> None:
    """Put images of the engine into the node; what it holds already in this very content is left alone."""
    held = _tags_in_node(engine)
    loaded = state.read(folders).get("loaded", {})
    for tag in tags:
        identity = engine.image_id(tag)
        if identity is None:
            raise ClusterError(f"The engine holds no image {tag}: build it first (`image` and `postgres-image` do)")
        if loaded.get(tag) == identity and _full_name(tag) in held:
            continue
        with step(f"Loading {tag} into the node", usually="5 to 10 s"):
            argv = ["kind", "load", "docker-image", "--name", CLUSTER, tag]
            log = folders.logs / "kind.log"
            process.run(argv, what=f"Loading {tag}", log=log, env=environment(folders, engine))
        state.remember_loaded(folders, {tag: identity})


def self_check(*, engine: Engine, folders: Folders, cache: StepCache) -> None:
    """Run the smoke test from the operator's base image; raises ClusterError."""
    image = base_images.provide(base_images.PYTHON_BASE, engine=engine, folders=folders, cache=cache)
    load(image, engine=engine, folders=folders)
    with step("Checking: a pod resolves a Service's name and connects to it", usually="4 s"):
        smoke.check(image, env=environment(folders, engine), log=folders.logs / "self-check.log")


def delete(*, engine: Engine, folders: Folders) -> None:
    """Delete the cluster and what it brought into an engine that stays."""
    log = folders.logs / "kind.log"
    if engine.docker("inspect", NODE) is not None:
        with step(f"Deleting the cluster {CLUSTER}", usually="3 s"):
            engine.run("rm", "--force", "--volumes", NODE, what="Removing the node", log=log)
    if engine.ours:
        return  # the engine goes as a whole
    known = state.read(folders)
    if not known.get("network_existed", True):
        engine.docker("network", "rm", NETWORK)
    listed = (engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}") or "").split()
    mine = [tag for tag in listed if tag.startswith(("trending/", "trending-operator:", "trending-postgres:"))]
    for tag in (*mine, *known.get("pulled", [])):
        engine.docker("image", "rm", tag)
    say(f"Removed {len(mine)} images from the engine, which was here before and stays")


def _tags_in_node(engine: Engine) -> set[str]:
    listed = engine.docker("exec", NODE, "ctr", "--namespace", "k8s.io", "images", "ls", "--quiet")
    return set((listed or "").split())


def _full_name(tag: str) -> str:
    """The name under which containerd keeps a tag: with registry and, for official images, with `library`."""
    first, slash, _ = tag.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return tag
    return f"docker.io/{tag}" if slash else f"docker.io/library/{tag}"
