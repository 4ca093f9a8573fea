"""The one error that this package raises on purpose."""

from __future__ import annotations


class ClusterError(Exception):
    """Says in one sentence what did not work, where its log is, and what to do."""
