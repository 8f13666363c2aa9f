"""Sampling: which samples of a map dataset come when, and how many at a time."""

from aisdatapipes.samplers.dynamic_batches import DynamicBatchSampler
from aisdatapipes.samplers.shard_blocks import ShardBlockSampler

__all__ = ["DynamicBatchSampler", "ShardBlockSampler"]
