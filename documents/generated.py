"""The pages that are generated, each with what writes it."""

from collections.abc import Callable
from typing import Final

from documents.commands import write_commands
from documents.presets import write_presets
from documents.resource import write_resource

GENERATED: Final[dict[str, Callable[[], str]]] = {
    "docs/reference-resource.md": write_resource,
    "docs/reference-commands.md": write_commands,
    "docs/reference-presets.md": write_presets,
}
