"""What a shell offers while somebody types: names from the cluster."""

from __future__ import annotations

import os
import subprocess
from typing import Final

import click
from click.shell_completion import CompletionItem

_SECONDS: Final = 3
_PATIENCE: Final = f"--request-timeout={_SECONDS}s"


def offer_schedules(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the names of the namespace's schedules."""
    return _offered(ctx, begun, "get", "trendingschedules.trending.dev", "--output=name", _PATIENCE)


def offer_namespaces(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the cluster's namespaces."""
    return _offered(ctx, begun, "get", "namespaces", "--output=name", _PATIENCE)


def offer_contexts(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the kubeconfig's contexts."""
    return _offered(ctx, begun, "config", "get-contexts", "--output=name")


def _offered(ctx: click.Context, begun: str, *arguments: str) -> list[CompletionItem]:
    """Ask kubectl, which is there where its plugin is called, and sooner than Python's own client would be.

    Nothing is offered where it fails: there is no place for an error while somebody types.
    """
    given = {**(ctx.parent.params if ctx.parent else {}), **{k: v for k, v in ctx.params.items() if v is not None}}
    flags = [f"--{flag}={given[flag]}" for flag in ("namespace", "context", "kubeconfig") if given.get(flag)]
    command = [os.environ.get("KUBECTL", "kubectl"), *arguments, *flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * _SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = [line.rpartition("/")[2] for line in done.stdout.splitlines() if line]
    return [CompletionItem(name) for name in names if name.startswith(begun)]
