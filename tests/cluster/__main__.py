"""`python -m tests.cluster <verb>`: the Makefile's way to the cluster and the images."""

from __future__ import annotations

import argparse
import shlex
import sys

from tests.cluster import verbs
from tests.cluster.errors import ClusterError
from tests.cluster.operator_image import TAG


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.cluster", description="A real Kubernetes cluster for tests and demonstration."
    )
    commands = parser.add_subparsers(dest="verb", required=True, metavar="verb")
    commands.add_parser("up", help="bring the cluster up, or check the one that is up")
    commands.add_parser("down", help="remove the cluster, and the engine where `up` started it")
    commands.add_parser("purge", help="remove the cache of built steps as well (after `down`)")
    commands.add_parser("env", help='print what a shell needs: eval "$(python -m tests.cluster env)"')
    image = commands.add_parser("image", help="build the operator's image and print its size")
    image.add_argument("tag", nargs="?", default=TAG)
    commands.add_parser("postgres-image", help="provide the image of PostgreSQL 15")
    load = commands.add_parser("load", help="put images into the cluster's node")
    load.add_argument("tags", nargs="+", metavar="IMAGE")
    asked = parser.parse_args(arguments)
    try:
        _answer(asked)
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: run the same again to go on, finished steps are kept\n")
        return 130
    return 0


def _answer(asked: argparse.Namespace) -> None:
    match asked.verb:
        case "up":
            verbs.up()
        case "down":
            verbs.down()
        case "purge":
            verbs.purge()
        case "env":
            sys.stdout.writelines(
                f"export {name}={shlex.quote(value)}\n" for name, value in verbs.environment().items()
            )
        case "image":
            verbs.build_image(asked.tag)
        case "postgres-image":
            verbs.postgres_image()
        case "load":
            verbs.load_image(*asked.tags)


if __name__ == "__main__":
    sys.exit(main())
