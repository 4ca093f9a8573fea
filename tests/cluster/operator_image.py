"""The operator's image: what goes in is installed here, from the lock file and its hashes; the Dockerfile copies it."""

from __future__ import annotations

import configparser
import os
import shutil
import tomllib
from pathlib import Path

from tests.cluster import base_images, process
from tests.cluster.cache import Step, StepCache, digest_of_tree
from tests.cluster.console import say, step
from tests.cluster.engine import Engine
from tests.cluster.errors import ClusterError
from tests.cluster.folders import REPOSITORY, Folders
from tests.cluster.versions import PYTHON

TAG = "trending-operator:dev"
CONTEXT = REPOSITORY / "build" / "image"
PREFIX = Path("/opt/trending")
SITE = f"lib/python{PYTHON}/site-packages"
PLATFORM = f"{os.uname().machine}-manylinux_2_28"
"""The oldest C library among the bases is bookworm's 2.36; wheels for 2.28 and older run on it."""
INPUTS = "dev.trending.build.inputs"
"""The label that says what an image was built from, so that an unchanged checkout builds nothing."""
TRACES = ("direct_url.json", "uv_cache.json", "REQUESTED")
"""Files that installers leave behind and that hold paths or times of this machine."""


def build(tag: str, *, engine: Engine, folders: Folders, cache: StepCache) -> str:
    """Build the image from this checkout and print its size; returns the tag; raises ClusterError."""
    if not (REPOSITORY / "uv.lock").exists():
        raise ClusterError(f"There is no uv.lock in {REPOSITORY}: run `tools/uv lock` first")
    base = base_images.provide(base_images.PYTHON_BASE, engine=engine, folders=folders, cache=cache)
    arguments = {"BASE": base, "VERSION": _version(), "REVISION": _revision(), "SOURCE": _source()}
    steps = (_dependencies_step(), _project_step())
    dockerfile = digest_of_tree(REPOSITORY / "Dockerfile", REPOSITORY / ".dockerignore")
    inputs = Step(
        name=tag, inputs={**arguments, "steps": f"{steps[0].key} {steps[1].key}", "dockerfile": dockerfile}
    ).key
    if engine.docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{INPUTS}"}}}}', tag) == inputs:
        say(f"{tag} is up to date")
    else:
        log = folders.logs / "image.log"
        with step("Installing the locked dependencies and the project for the image", usually="10 s; 2 s when cached"):
            dependencies = cache.build(steps[0], lambda into: _install_dependencies(into, log))
            project = cache.build(steps[1], lambda into: _install_project(into, folders, log))
            _lay_out(dependencies / "site", project / "prefix")
        with step(f"Building {tag} on {base}", usually="30 s; 5 s when only the project changed"):
            flags = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
            flags += ["--label", f"{INPUTS}={inputs}"]
            engine.run("build", "--tag", tag, *flags, REPOSITORY, what=f"Building {tag}", log=log)
    size = engine.docker("image", "inspect", "--format", "{{.Size}}", tag)
    say(f"{tag}: {int(size or 0) / 1e6:.0f} MB")
    return tag


def _dependencies_step() -> Step:
    return Step(
        name="image-dependencies",
        inputs={
            "lock": digest_of_tree(REPOSITORY / "uv.lock"),
            "python": PYTHON,
            "platform": PLATFORM,
            "made": _revision_of_this(),
        },
    )


def _project_step() -> Step:
    files = [REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE") if (REPOSITORY / name).exists()]
    sources = digest_of_tree(REPOSITORY / "operator", REPOSITORY / "manifests", REPOSITORY / "migrations", *files)
    return Step(name="image-project", inputs={"sources": sources, "python": PYTHON, "made": _revision_of_this()})


def _revision_of_this() -> str:
    return digest_of_tree(Path(__file__))


def _install_dependencies(into: Path, log: Path) -> None:
    """Install what the lock file names for the image's Python and platform, whatever this machine's are."""
    locked = into / "requirements.txt"
    export = ["export", "--frozen", "--no-dev", "--no-emit-project", "--no-annotate", "--no-header"]
    _uv(*export, "--output-file", locked, what="Reading the lock file", log=log)
    _uv(
        *_install_arguments(into / "site"),
        "--require-hashes",
        "--requirement",
        locked,
        what="Installing dependencies",
        log=log,
    )
    _remove_traces(into / "site")


def _install_project(into: Path, folders: Folders, log: Path) -> None:
    """Build the project's wheel, install it alone, and write its console scripts for the image's Python."""
    wheels = folders.work / "wheel"
    shutil.rmtree(wheels, ignore_errors=True)
    _uv("build", "--wheel", "--out-dir", wheels, what="Building the project's wheel", log=log)
    site = into / "prefix" / SITE
    _uv(*_install_arguments(site), "--no-deps", *wheels.glob("*.whl"), what="Installing the project's wheel", log=log)
    shutil.rmtree(wheels)
    scripts = into / "prefix" / "bin"
    scripts.mkdir()
    for name, text in console_scripts(next(site.glob("trending_operator-*.dist-info")) / "entry_points.txt").items():
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    _remove_traces(site)


def console_scripts(entry_points: Path) -> dict[str, str]:
    """Return the text of each console script that a distribution declares, as it runs inside the image."""
    declared = configparser.ConfigParser()
    declared.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case; the stub wants a method
    declared.read_string(entry_points.read_text())
    scripts = {}
    for name, target in declared["console_scripts"].items():
        module, _, function = target.partition(":")
        lines = (f"#!{PREFIX}/bin/python3", "import sys", f"from {module} import {function}", f"sys.exit({function}())")
        scripts[name] = "\n".join(lines) + "\n"
    return scripts


def _install_arguments(target: Path) -> list[str | Path]:
    arguments: list[str | Path] = ["pip", "install", "--quiet", "--target", target, "--only-binary", ":all:"]
    return [*arguments, "--python-version", PYTHON, "--python-platform", PLATFORM, "--link-mode", "copy", "--no-config"]


def _remove_traces(site: Path) -> None:
    """Remove scripts, whose first line names this machine's Python, and what would make each installation differ."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    (site / ".lock").unlink(missing_ok=True)
    for trace in TRACES:
        for path in site.glob(f"*.dist-info/{trace}"):
            path.unlink()


def _lay_out(site: Path, prefix: Path) -> None:
    """Copy both results into the build's context, readable for the image's user whatever this one's umask is."""
    shutil.rmtree(CONTEXT, ignore_errors=True)
    shutil.copytree(site, CONTEXT / "dependencies")
    shutil.copytree(prefix, CONTEXT / "project")
    for path in (CONTEXT, *CONTEXT.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


def _uv(*arguments: str | Path, what: str, log: Path) -> None:
    process.run([REPOSITORY / "tools" / "uv", *arguments], what=what, log=log, cwd=REPOSITORY)


def _pyproject() -> dict[str, object]:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    return dict(project)


def _version() -> str:
    return str(_pyproject()["version"])


def _source() -> str:
    """The project's address: what pyproject.toml says, else where this checkout was cloned from, else "unknown"."""
    urls = _pyproject().get("urls")
    if isinstance(urls, dict):
        for name in ("Source", "Repository", "Homepage"):
            if name in urls:
                return str(urls[name])
    origin = process.output(["git", "remote", "get-url", "origin"], cwd=REPOSITORY) or ""
    return origin if origin.startswith("https://") and "@" not in origin else "unknown"


def _revision() -> str:
    """The commit, with "-dirty" where the image's sources differ from it."""
    commit = process.output(["git", "rev-parse", "HEAD"], cwd=REPOSITORY)
    if not commit:
        return "unknown"
    changed = process.output(
        ["git", "status", "--porcelain", "--", "operator", "pyproject.toml", "uv.lock"], cwd=REPOSITORY
    )
    return f"{commit}-dirty" if changed else commit
