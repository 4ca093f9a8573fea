"""How a slice is rewritten: one module a strategy."""

from trending.runner.rewrite.choose import Choice, check_swap, choose
from trending.runner.rewrite.strategy import Destination, Plan, RewriteResult, Strategy

__all__ = ["Choice", "Destination", "Plan", "RewriteResult", "Strategy", "check_swap", "choose"]
