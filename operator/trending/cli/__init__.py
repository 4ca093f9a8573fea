"""The console scripts."""

from trending.cli.main import main

__all__ = ["main"]
