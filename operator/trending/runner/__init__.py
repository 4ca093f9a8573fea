"""The process in a run's pod: refreshes, rewrites, records. It knows PostgreSQL and nothing of Kubernetes."""
