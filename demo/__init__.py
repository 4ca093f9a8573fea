"""The whole path on one machine: cluster, PostgreSQL, sample data, operator, first run. `make demo` calls it."""
