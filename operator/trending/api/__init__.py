"""The resource `TrendingSchedule`: its spec and status as models, and the CRD made from them."""
