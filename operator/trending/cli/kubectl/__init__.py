"""`kubectl trending`: what people do with schedules, as a kubectl plugin (kubectl finds it by its name on PATH).

One module a command. What a command imports at its top is light, so that help and completion are there at once.
"""

from trending.cli.kubectl.program import main, program

__all__ = ["main", "program"]
