"""What `make cluster` decides before it touches anything, and what it says when it cannot go on."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.cluster import (
    archive,
    base_images,
    bridges,
    debian,
    engine_stop,
    gobuild,
    kind,
    operator_image,
    process,
    subnets,
    toolchain,
    versions,
)
from tests.cluster.errors import ClusterError
from tests.cluster.folders import REPOSITORY, Folders

SERVER = (1, 35, 3)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.35.3", (1, 35, 3)),
        ("v1.32.4-dispatcher", (1, 32, 4)),
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 33, 0)),
        ("v3.20.2+g1234567", (3, 20, 2)),
        ("", None),
        ("unknown", None),
    ],
)
def test_versions_are_read_as_the_programs_print_them(text: str, version: toolchain.Version | None) -> None:
    assert toolchain.parse(text) == version


@pytest.mark.parametrize(
    ("client", "fits"),
    [
        ((1, 34, 0), True),
        ((1, 35, 9), True),
        ((1, 36, 1), True),
        ((1, 33, 9), False),
        ((1, 37, 0), False),
        ((2, 35, 3), False),
        (None, False),
    ],
)
def test_kubectl_on_path_is_taken_within_one_minor_of_the_server(client: toolchain.Version | None, fits: bool) -> None:
    assert toolchain.kubectl_fits(client, SERVER) is fits


@pytest.mark.parametrize(
    ("found", "fits"), [((3, 20, 0), True), ((4, 0, 1), True), ((3, 19, 5), False), ((2, 99, 0), False), (None, False)]
)
def test_helm_on_path_is_taken_when_it_knows_this_kubernetes(found: toolchain.Version | None, fits: bool) -> None:
    assert toolchain.helm_fits(found, (3, 20, 2)) is fits


@pytest.mark.parametrize(
    ("found", "fits"), [((0, 33, 1), True), ((0, 32, 0), False), ((0, 34, 0), False), (None, False)]
)
def test_kind_on_path_is_taken_when_it_is_the_release_of_the_node_image(
    found: toolchain.Version | None, fits: bool
) -> None:
    assert toolchain.kind_fits(found, (0, 33, 0)) is fits


@pytest.mark.parametrize("answer", ["exit 1", "echo nonsense", 'echo "{}"', 'echo "[]"'])
def test_a_kubectl_that_answers_nonsense_is_not_taken(answer: str, tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    assert toolchain._kubectl_version(str(program)) is None


def _required(module: str) -> dict[str, str]:
    """Every module that a go.mod names, with the version that counts: `replace` goes before `require`."""
    text = (gobuild.MODULES / module / "go.mod").read_text()
    required = dict(re.findall(r"^(?:require )?\t?([\w.-]+\.[\w./-]+) (v\S+)", text, flags=re.MULTILINE))
    return required | dict(re.findall(r"^replace (\S+) => \S+ (v\S+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("module", "path", "version"),
    [
        ("kubelab", "k8s.io/kubernetes", versions.KUBERNETES),
        ("kubelab", "k8s.io/kubelet", versions.KUBERNETES.replace("v1.", "v0.")),
        ("kind", "sigs.k8s.io/kind", versions.KIND),
        ("helm", "helm.sh/helm/v3", versions.HELM),
    ],
)
def test_the_go_modules_are_those_that_the_constants_name(module: str, path: str, version: str) -> None:
    assert _required(module)[path] == version


@pytest.mark.parametrize("module", ["coredns", "helm", "local-path-provisioner"])
def test_go_compiles_the_kubernetes_packages_once_for_all_programs(module: str) -> None:
    ours, shared = _required(module), _required("kubelab")
    both = [path for path in ours if path in shared and path.startswith(("k8s.io/", "golang.org/x/", "sigs.k8s.io/"))]
    assert "k8s.io/client-go" in both
    assert {path: ours[path] for path in both} == {path: shared[path] for path in both}


@pytest.mark.parametrize("module", ["coredns", "helm", "kind", "kubelab", "local-path-provisioner"])
def test_every_required_module_has_a_checksum(module: str) -> None:
    sums = (gobuild.MODULES / module / "go.sum").read_text()
    text = (gobuild.MODULES / module / "go.mod").read_text()
    direct = set(re.findall(r"^(?:require )?\t?([\w.-]+\.[\w./-]+) (v\S+)$", text, flags=re.MULTILINE))
    replaced = {path for path, _ in re.findall(r"^replace (\S+) => \S+ (v\S+)", text, flags=re.MULTILINE)}
    missing = [path for path, version in direct if path not in replaced and f"{path} {version} h1:" not in sums]
    assert not missing


def test_the_node_images_of_both_ways_are_of_one_kubernetes_minor() -> None:
    pulled = toolchain.parse(versions.NODE_IMAGE)
    built = toolchain.parse(versions.KUBERNETES)
    assert pulled
    assert built
    assert pulled[:2] == built[:2]
    assert re.search(r"@sha256:[0-9a-f]{64}$", versions.NODE_IMAGE)


def test_the_dockerfile_and_the_build_name_the_same_base() -> None:
    assert f"ARG BASE={versions.PYTHON_IMAGE}\n" in (REPOSITORY / "Dockerfile").read_text()
    assert versions.PYTHON_IMAGE.startswith(f"python:{versions.PYTHON}.")


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    users = re.findall(r"^USER (\S+)$", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert users == ["65532:65532"]


def test_console_scripts_are_written_for_the_python_inside_the_image(tmp_path: Path) -> None:
    declared = tmp_path / "entry_points.txt"
    declared.write_text(
        "[console_scripts]\ntrending = trending.cli:main\nkubectl-trending = trending.cli.kubectl:main\n"
    )
    scripts = operator_image.console_scripts(declared)
    assert set(scripts) == {"trending", "kubectl-trending"}
    assert scripts["trending"].splitlines()[0] == "#!/opt/trending/bin/python3"
    assert "from trending.cli import main" in scripts["trending"]


def test_the_postgres_base_runs_as_the_official_images_user() -> None:
    assert "USER 999:999" in base_images.POSTGRES_BASE.changes
    assert any(
        change.startswith("ENV PATH=/usr/lib/postgresql/15/bin:") for change in base_images.POSTGRES_BASE.changes
    )


@pytest.mark.parametrize(
    ("addresses", "mirror"),
    [
        (["https://deb.nodesource.com/node_20.x/", "http://deb.debian.org/debian/"], "http://deb.debian.org/debian"),
        (
            ["http://mirror.example/some/debian-security/", "http://mirror.example/some/debian/"],
            "http://mirror.example/some/debian",
        ),
        (["https://packages.example.org/apt"], debian.FALLBACK_MIRROR),
        ([], debian.FALLBACK_MIRROR),
    ],
)
def test_packages_come_from_debians_own_archive_among_the_machines_sources(addresses: list[str], mirror: str) -> None:
    assert debian.pick_mirror(addresses) == mirror


def test_the_kernels_routes_are_read_in_its_byte_order() -> None:
    table = [
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
        "docker0\t00001EAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    ]
    assert subnets.parse_routes(table) == [IPv4Network("172.30.0.0/24")]


def test_the_containers_get_a_range_that_the_machine_does_not_route() -> None:
    assert subnets.pick([]) == ("172.30.0.1/24", "172.31.0.0/16")
    assert subnets.pick([IPv4Network("172.31.5.0/24")]) == ("172.28.0.1/24", "172.29.0.0/16")


def test_a_machine_that_routes_every_range_is_told_which_were_tried() -> None:
    with pytest.raises(ClusterError, match=r"172\.30\.0\.0/15"):
        subnets.pick([IPv4Network("0.0.0.0/0")])


@pytest.mark.parametrize(
    ("rule", "ours"),
    [
        ("-A FORWARD -j DOCKER-USER", True),
        ("-A FORWARD -i br-0a1b2c3d4e5f -o br-0a1b2c3d4e5f -j ACCEPT", True),
        ("-A POSTROUTING -s 172.30.0.0/24 ! -o docker0 -j MASQUERADE", True),
        ("-A FORWARD -i br-lan -j ACCEPT", False),
        ("-A INPUT -p tcp --dport 22 -j ACCEPT", False),
    ],
)
def test_down_takes_back_dockers_firewall_rules_and_no_others(rule: str, ours: bool) -> None:
    assert engine_stop.is_of_docker(rule, ["docker0", "br-0a1b2c3d4e5f"]) is ours


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("trending-operator:dev", "docker.io/library/trending-operator:dev"),
        ("trending/python-base:1", "docker.io/trending/python-base:1"),
        ("registry.example/a/b:1", "registry.example/a/b:1"),
        ("localhost/a:1", "localhost/a:1"),
    ],
)
def test_images_are_known_to_the_node_by_their_full_name(tag: str, name: str) -> None:
    assert kind._full_name(tag) == name


def test_a_layer_gives_the_same_image_whenever_and_wherever_it_is_packed(tmp_path: Path) -> None:
    archives = []
    for place in ("here", "there"):
        layer = tmp_path / place / "layer"
        layer.mkdir(parents=True)
        (layer / "file").write_text("content")
        (layer / "link").symlink_to("file")
        target = tmp_path / place / "image.tar"
        archive.write_image(target, layer, entrypoint=["/file"], tags=["a:1", "b:2"])
        archives.append(target.read_bytes())
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "here" / "image.tar") as image:
        assert "manifest.json" in image.getnames()


def test_a_program_that_fails_is_one_sentence_with_its_last_line_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    with pytest.raises(ClusterError) as failure:
        process.run(["sh", "-c", "echo one; echo two >&2; exit 3"], what="The step", log=log)
    assert str(failure.value) == f"The step did not work (two); its log is {log}"
    assert "one" in log.read_text()


def test_a_program_that_is_absent_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no-such-program is not on PATH; install it"):
        process.run(["no-such-program"], what="The step", log=tmp_path / "log")


def test_a_program_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"The step did not work within 0 s"):
        process.run(["sleep", "60"], what="The step", log=tmp_path / "log", timeout=0.2)
    assert process.output(["sleep", "60"], timeout=0.2) is None


def test_without_docker_and_without_go_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_named: None)
    with pytest.raises(ClusterError, match=r"Go 1\.21 or newer is needed.*install it"):
        gobuild._go()


def test_env_without_a_cluster_says_so_and_prints_nothing_for_the_shell(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "env"],
        cwd=REPOSITORY,
        env={
            "XDG_STATE_HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path),
            "PATH": "/nowhere",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "No cluster is up: run `make cluster` first\n"


def test_folders_follow_the_xdg_variables_and_else_lie_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = Folders.from_environment()
    assert folders.cache == tmp_path / "c" / "trending-operator"
    assert folders.state == tmp_path / ".local" / "state" / "trending-operator"


def test_a_shell_that_asks_twice_gets_each_folder_on_path_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = Folders(cache=tmp_path / "cache", state=tmp_path / "state")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PATH", folders.search_path)
    assert folders.search_path == f"{tmp_path}/state/bin:{tmp_path}/state/engine/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("network", "ours"),
    [
        ("172.30.0.0/24", True),
        ("172.31.0.0/24", True),
        ("192.168.192.0/24", True),
        ("172.30.0.0/16", False),  # Docker's own pools give out /16 and /20
        ("192.168.192.0/20", False),
        ("10.0.0.0/24", False),
    ],
)
def test_bridges_are_told_from_those_of_other_engines_by_their_range(network: str, ours: bool) -> None:
    assert bridges.is_ours(IPv4Network(network)) is ours


def test_a_link_that_is_no_bridge_is_nothing_left_over(tmp_path: Path) -> None:
    (tmp_path / "br-0123456789ab").mkdir()
    (tmp_path / "eth0" / "bridge").mkdir(parents=True)
    assert bridges.leftovers(tmp_path) == []


def test_removing_a_bridge_that_is_not_there_is_no_error() -> None:
    bridges.remove(["br-ffffffffffff"])
