"""Swap: the slice's partitions are built anew beside the old ones and exchanged with them under a short lock.

Readers see the old rows or the new ones. What is written stays as it is afterwards: no dead rows, indexes as new. The
steps, of which only the last one is in anybody's way: find the partitions, build and commit, wait until nobody has an
older snapshot (it would see the new partition empty), exchange.

Known limits: rows that somebody else writes into the slice between the reading of the source and the exchange go with
the old partition, as the next run would have removed them; a session on a hot standby with a snapshot older than the
build is not waited for; a pg_dump that has listed the tables and not yet locked them when the exchange comes fails, as
it does at any DROP TABLE.
"""

from trending.runner.rewrite.swap.build import Built, ObstacleError, build
from trending.runner.rewrite.swap.exchange import exchange
from trending.runner.rewrite.swap.leftovers import Kept, discard, drop_leftovers
from trending.runner.rewrite.swap.older import wait_for_older
from trending.runner.rewrite.swap.partitions import Partitions, find_partitions
from trending.runner.rewrite.swap.tree import ChangedError, Obstacle

__all__ = [
    "Built",
    "ChangedError",
    "Kept",
    "Obstacle",
    "ObstacleError",
    "Partitions",
    "build",
    "discard",
    "drop_leftovers",
    "exchange",
    "find_partitions",
    "wait_for_older",
]
