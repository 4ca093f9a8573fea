"""The chart as Helm renders it, for some sets of values, kept as files: what a change does to it is seen in review."""
