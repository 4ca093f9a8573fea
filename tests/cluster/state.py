"""What `down` has to know of what `up` did: a small JSON file in the state folder."""

from __future__ import annotations

import json
from typing import TypedDict, cast

from tests.cluster.folders import Folders


class State(TypedDict, total=False):
    """Every key may be absent."""

    pulled: list[str]
    """Images that were pulled into an engine that is not ours, and go again with the cluster."""
    network_existed: bool
    """Whether the engine had kind's network before our cluster."""
    forward_policy: str
    """The firewall's policy for forwarded packets before our engine started, which sets it to DROP."""
    ip_forward: str
    """The kernel's setting before our engine started, which turns it on."""
    folders_made: list[str]
    """Folders outside the state folder that our engine makes whatever it is told, and that were not there before."""
    loaded: dict[str, str]
    """What the node holds: a tag, and the content's id in the engine when it was loaded."""


def read(folders: Folders) -> State:
    """Return the state; empty where nothing was written yet."""
    path = folders.state / "state.json"
    return cast(State, json.loads(path.read_text())) if path.exists() else State()


def write(folders: Folders, state: State) -> None:
    """Replace the state in one step."""
    path = folders.state / "state.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(state, indent=1, sort_keys=True) + "\n")
    partial.replace(path)


def remember_pulled(folders: Folders, image: str) -> None:
    """Note an image that was pulled."""
    state = read(folders)
    write(folders, {**state, "pulled": sorted({*state.get("pulled", []), image})})


def remember_loaded(folders: Folders, loaded: dict[str, str]) -> None:
    """Note images that the node holds now."""
    state = read(folders)
    write(folders, {**state, "loaded": {**state.get("loaded", {}), **loaded}})
