"""PostgreSQL from a wheel: a server of one's own in a folder where there is neither a database nor a cluster."""
