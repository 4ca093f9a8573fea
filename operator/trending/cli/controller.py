"""`trending controller`: what the chart's Deployment runs."""

import asyncio
import logging
import sys

import click


@click.command("controller")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="TRENDING_LOG_LEVEL",
    help="From which level on log lines are written.",
)
def command(log_level: str) -> None:
    """Watch TrendingSchedules and start their runs.

    Runs in the cluster as the chart deploys it; outside it uses your kubeconfig. TRENDING_RUN_IMAGE names the image
    of runs' pods.
    """
    from trending.controller import main
    from trending.controller.listening import PortError
    from trending.controller.settings import Settings

    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-8s %(name)s: %(message)s"
    )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # a probe every few seconds is no news
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(log_level.upper())))
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        went_well = asyncio.run(main.run(settings))
    except PortError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if went_well else 1)
