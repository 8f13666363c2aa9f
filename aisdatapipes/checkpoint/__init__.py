"""Checkpoint: where a run stands in its epoch, as typed data that JSON can hold."""
