"""How a slice is rewritten: one module a strategy."""

from trending.runner.rewrite.choose import Choice, choose
from trending.runner.rewrite.strategy import Destination, Plan, RewriteResult, Strategy

__all__ = ["Choice", "Destination", "Plan", "RewriteResult", "Strategy", "choose"]
