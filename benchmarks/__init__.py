"""Benchmarks: every way to read AIStore into PyTorch, side by side on one local cluster."""
