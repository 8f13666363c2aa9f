"""Indexes: where the samples of shards are, so that they can be read in any order."""
