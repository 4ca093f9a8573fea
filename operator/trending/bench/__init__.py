"""`trending bench`: the strategies side by side on tables of the seed's shape, measured with the runner's own code."""
