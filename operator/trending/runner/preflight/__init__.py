"""Preflight: what would keep a run from working, or make it dear, found before it is tried."""

from trending.runner.preflight.check import Preflight, check
from trending.runner.preflight.finding import Finding, Findings, Level
from trending.runner.preflight.server import is_writable, usable_settings
from trending.runner.preflight.targets import Checked

__all__ = ["Checked", "Finding", "Findings", "Level", "Preflight", "check", "is_writable", "usable_settings"]
