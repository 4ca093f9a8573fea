"""`python -m trending`: the same as the console script."""

from trending.cli import main

main()
