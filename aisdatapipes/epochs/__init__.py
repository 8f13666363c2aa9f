"""Epochs: in which order, whose share, and where the reading stands."""
