"""`kubectl trending`: what people do with schedules, as a kubectl plugin (kubectl finds it by its name on PATH)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import click

from trending.api.instant import format_precise
from trending.api.names import REQUESTED_AT_ANNOTATION


def _patch(name: str, namespace: str | None, context: str | None, patch: dict[str, Any], done: str) -> None:
    """Patch a schedule and say so; what the API server or the kubeconfig has against it is told in a sentence."""
    from aiohttp import ClientError
    from kubernetes.aio.client.exceptions import ApiException
    from kubernetes.aio.config import ConfigException

    from trending.controller.kube import Kube, reason_of

    async def call() -> None:
        kube, configured = await Kube.connect_as_user(context=context)
        try:
            await kube.patch_schedule(namespace or configured, name, patch)
        finally:
            await kube.close()

    try:
        asyncio.run(call())
    except ApiException as error:
        raise click.ClickException(reason_of(error)) from None
    except (ConfigException, ClientError, OSError) as error:
        raise click.ClickException(f"the cluster cannot be reached: {error}; try `kubectl cluster-info`") from None
    click.echo(done)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="trending-operator", prog_name="kubectl-trending")
def main() -> None:
    """Work with TrendingSchedules.

    \b
    See them with kubectl itself:
        kubectl get trendingschedules -A
        kubectl describe trendingschedule NAME
    """


_namespace = click.option("-n", "--namespace", help="The schedule's namespace; your context's by default.")
_context = click.option("--context", help="The context of your kubeconfig to use; its current one by default.")


@main.command()
@click.argument("name")
@_namespace
@_context
def run(name: str, namespace: str | None, context: str | None) -> None:
    """Start a run now, by hand; also while suspended. An active run is waited for."""
    requested = format_precise(datetime.now(UTC))
    patch = {"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: requested}}}
    _patch(name, namespace, context, patch, f"{name}: a run is requested; see it with: kubectl get ts {name} --watch")


@main.command()
@click.argument("name")
@_namespace
@_context
def suspend(name: str, namespace: str | None, context: str | None) -> None:
    """Start no further runs by schedule; an active one goes on."""
    _patch(name, namespace, context, {"spec": {"suspend": True}}, f"{name}: suspended")


@main.command()
@click.argument("name")
@_namespace
@_context
def resume(name: str, namespace: str | None, context: str | None) -> None:
    """Start runs by schedule again."""
    _patch(name, namespace, context, {"spec": {"suspend": False}}, f"{name}: resumed")
