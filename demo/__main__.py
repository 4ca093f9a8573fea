"""`python -m demo`: from a bare machine to a ranking that an operator keeps fresh, and how to go on from there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from rich.text import Text

from demo import ledger, release, sample, view
from demo.errors import DemoError
from demo.examples import apply_until_succeeded
from demo.kubectl import connect
from demo.postgres import NAMESPACE, Postgres, deploy
from tests.cluster import verbs
from tests.cluster.console import out, say
from tests.cluster.errors import ClusterError
from trending.api.names import PLURAL

AGAIN: Final = "What was made stays. `make demo` goes on from here; `make cluster-down` removes everything."
PROMISE: Final = (
    "A minute when cluster and images are there, 15 on a bare machine; stopped by Ctrl-C, it goes on when called again."
)
HOW_TO_GO_ON: Final = Path(__file__).with_name("how-to-go-on.txt")


def main(arguments: list[str] | None = None) -> int:
    """Show the whole path; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--tracks", type=int, default=sample.TRACKS, help="tracks of the sample data (%(default)s)")
    parser.add_argument("--plays", type=int, default=sample.PLAYS, help="plays of the sample data (%(default)s)")
    asked = parser.parse_args(arguments)
    phases = view.Phases()
    say(PROMISE)
    try:
        postgres = _show(phases, tracks=asked.tracks, plays=asked.plays)
        _conclude(phases, postgres)
    except (DemoError, ClusterError) as error:
        say(f"\nThe demo stopped at: {phases.current}.\n{error}\n{AGAIN}")
        return 1
    except KeyboardInterrupt:
        say(f"\nStopped at: {phases.current}. {AGAIN}")
        return 130
    return 0


def _show(phases: view.Phases, *, tracks: int, plays: int) -> Postgres:
    with phases.phase("Cluster", "Kubernetes by kind, brought up or found up"):
        verbs.up()
    with phases.phase("Images", "the operator's and PostgreSQL's, built and loaded into the node"):
        verbs.load_image(verbs.build_image(), verbs.postgres_image())
    kubectl = connect()
    with phases.phase("PostgreSQL", f"a server with a volume in the namespace {NAMESPACE}"):
        postgres = deploy(kubectl)
    with phases.phase("Sample data", f"{tracks:,} tracks, {plays:,} plays"), view.progress() as tell:
        _load(postgres, tracks=tracks, plays=plays, tell=tell)
    with phases.phase("Operator", f"installed by Helm into the namespace {release.NAMESPACE}"):
        release.install(kubectl)
    with phases.phase("Ledger", "trending migrate, as a Job"):
        say("   " + ledger.migrate(kubectl).strip().replace("\n", "\n   "))
    with phases.phase("First runs", "kubectl apply -f manifests/examples/"):
        apply_until_succeeded(kubectl)
    return postgres


def _load(postgres: Postgres, *, tracks: int, plays: int, tell: sample.Tell) -> None:
    if not sample.load_sample(postgres, tracks=tracks, plays=plays, tell=lambda table: tell(f"filling {table}")):
        counted = sample.count_rows(postgres)
        say(f"   there already: {counted['tracks']:,} tracks, {counted['plays']:,} plays")
    sample.create_own_table(postgres)


def _conclude(phases: view.Phases, postgres: Postgres) -> None:
    say(f"\n$ kubectl -n {NAMESPACE} get trendingschedules")
    for line in view.columns(postgres.kubectl, PLURAL, NAMESPACE):
        say(line)
    say("")
    out.print(view.top_ten(postgres))
    say("")
    out.print(phases.table())
    out.print(Text("\nHow to go on\n", style="bold"))
    say(HOW_TO_GO_ON.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
