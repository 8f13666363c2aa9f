"""Shards: what is in tar objects, counted, taken up in the middle, read side by side."""
