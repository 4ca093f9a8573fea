"""What a run says of itself: one format, written by the runner and read by the controller."""

from trending.report.model import MAX_REPORT_BYTES, Report, TargetReport
from trending.report.termination import read_termination_message, write_termination_message

__all__ = ["MAX_REPORT_BYTES", "Report", "TargetReport", "read_termination_message", "write_termination_message"]
