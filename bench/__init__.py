"""What the rewriting engine costs, each figure a command of its own: `python -m bench NAME`."""
