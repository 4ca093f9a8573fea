"""When runs start: cron arithmetic, freshness and the pure decision. Nothing here reads a clock or a cluster."""
