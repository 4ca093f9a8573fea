"""`trending next`: when a schedule fires."""

import json
from datetime import UTC, datetime, timedelta
from itertools import islice

import click

from trending.api.instant import parse_instant
from trending.schedule.slots import slots_of, upcoming
from trending.schedule.zone import load_zone


@click.command("next")
@click.argument("cron")
@click.option("--time-zone", default="Etc/UTC", show_default=True, help="The zone in which the schedule is read.")
@click.option("--from", "start", metavar="TIME", help="Times after this one, as 2026-11-23T18:00:00Z; default now.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many.")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Print a JSON list.")
def command(cron: str, time_zone: str, start: str | None, count: int, output: str | None) -> None:
    """Print the next times at which a schedule fires, as a CronJob reads it.

    \b
        trending next '*/15 8-18 * * MON-FRI' --time-zone Europe/Berlin
        trending next '@every 90m' -n 3
    """
    try:
        after = parse_instant(start) if start else datetime.now(UTC)
        zone = load_zone(time_zone)
        slots = slots_of(cron, time_zone, base=after)
    except ValueError as error:
        raise click.ClickException(str(error).replace("spec.timeZone", "--time-zone")) from None
    instants = list(islice(upcoming(slots, after), count))
    times = [slot.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z") for slot in instants]
    if output:
        click.echo(json.dumps(times))
        return
    for time, slot in zip(times, instants, strict=True):
        click.echo(f"{time}  {slot.astimezone(zone):%a}  in {format_span(slot - after)}")
    if len(times) < count:
        click.echo("Then it does not fire within five years.")


def format_span(span: timedelta) -> str:
    """Write a span for a person: its two largest units, such as `3d 4h`, `12m 5s`."""
    seconds = int(span.total_seconds())
    parts = ((seconds // 86_400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    largest = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number}{unit}" for number, unit in parts[largest : largest + 2] if number) or "0s"
