"""The console scripts."""

from trending.cli.program import main

__all__ = ["main"]
