"""Which cluster and which namespace: the options that kubectl's own commands have."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from trending.cli.kubectl.offered import offer_contexts, offer_namespaces, offer_schedules


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where a command works; what is None is the kubeconfig's own choice."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    """The path of the file; None means $KUBECONFIG, else ~/.kube/config."""

    @property
    def flags(self) -> str:
        """What a further command has to be given to work at the same place, such as ` -n discovery`."""
        said = ((" -n ", self.namespace), (" --context ", self.context), (" --kubeconfig ", self.kubeconfig))
        return "".join(f"{flag}{shlex.quote(value)}" for flag, value in said if value)


_F = TypeVar("_F", bound=Callable[..., Any])


def located(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command kubectl's options for where; it is called with `where`.

    They may be given before the subcommand too: `kubectl trending -n discovery list`.
    """

    @click.option(
        *("-n", "--namespace"),
        metavar="NAME",
        shell_complete=offer_namespaces,
        help="The schedule's namespace; your context's by default.",
    )
    @click.option(
        "--context",
        metavar="NAME",
        shell_complete=offer_contexts,
        help="The context of your kubeconfig to use; its current one by default.",
    )
    @click.option(
        "--kubeconfig",
        metavar="FILE",
        type=click.Path(),
        help="The kubeconfig; $KUBECONFIG or ~/.kube/config by default.",
    )
    @functools.wraps(function)
    def command(*args: Any, namespace: str | None, context: str | None, kubeconfig: str | None, **kwargs: Any) -> Any:
        outer = click.get_current_context().find_object(Where) or Where()
        where = Where(
            namespace=namespace or outer.namespace,
            context=context or outer.context,
            kubeconfig=kubeconfig or outer.kubeconfig,
        )
        return function(*args, where=where, **kwargs)

    return command


def everywhere_option(function: _F) -> _F:
    """Give a command `-A`; it is called with `everywhere`."""
    return click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="In all namespaces.")(function)


def schedule_name(function: _F) -> _F:
    """Give a command the argument NAME; it is called with `name`."""
    return click.argument("name", shell_complete=offer_schedules)(function)
