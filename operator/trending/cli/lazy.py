"""A group of commands whose modules are imported when they are called: none waits for what only another needs."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

_LONGEST_SENTENCE: Final = 200
_CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""What all our programs have in common."""


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when it is needed.

    `modules` says where each subcommand is: a module whose `command` it is, or `module:name` where it is another.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, context_settings=_CONTEXT, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's own signature)
        """Return the names that --help lists."""
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's own signature)
        """Return the named subcommand; None where there is none."""
        if cmd_name not in self._modules:
            return None
        module, _, name = self._modules[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name or "command")
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._modules[cmd_name]} is no click command")
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer subcommands, each with the whole of its first sentence."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        known = {name: self.get_command(ctx, name) for name in names}
        offered = [
            CompletionItem(name, help=command.get_short_help_str(limit=_LONGEST_SENTENCE))
            for name, command in known.items()
            if command and not command.hidden
        ]
        return [*offered, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that the arguments begin with; where there is none, name those that are near it."""
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in self._modules:
            near = difflib.get_close_matches(args[0], self._modules)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)
