"""The trending operator: ranking tables in PostgreSQL, recomputed on a schedule by Kubernetes."""
