"""Opt-in partitioning: a plain table becomes one whose slices are whole partitions, and back."""

from trending.runner.partition.task import Request, Task, prepare
from trending.runner.partition.work import Done, carry_out

__all__ = ["Done", "Request", "Task", "carry_out", "prepare"]
