"""`python -m bench`: every bench, or those that are named, one after another."""

from __future__ import annotations

import argparse
import importlib
from typing import Final

from bench.console import console

NAMES: Final = ("imports", "slots", "scrape", "memory", "unchanged", "stall", "grid", "footprint", "failover", "ticks")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    names = parser.parse_args().names or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no bench {unknown[0]}: there are {', '.join(NAMES)}")
    for name in names:
        console.rule(name, align="left")
        importlib.import_module(f"bench.{name}").main([])


if __name__ == "__main__":
    main()
