"""What every reader in a DataLoader has in common."""

from __future__ import annotations

from typing import Any

from benchmarks.job import Job

__all__ = ["batch_of_sizes", "loader_settings"]

_BATCH = 64


def loader_settings(job: Job) -> dict[str, Any]:
    """Return the DataLoader's batch size and number of workers."""
    return {"batch_size": _BATCH, "num_workers": job.options["workers"]}


def batch_of_sizes(batch: list[tuple[str, bytes]]) -> list[int]:
    """Collate ``(name, content)`` to sizes, in the worker, where a model's code would decode."""
    return [len(content) for _, content in batch]
