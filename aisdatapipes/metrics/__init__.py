"""Metrics: what a pipe or dataset has done, counted over all its processes."""
