"""Shards: what is in tar objects, counted, resumed in the middle, read side by side."""
