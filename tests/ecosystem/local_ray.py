"""Ray on this machine, for a while."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray.data import DataContext

EXPORTS = "RAY_enable_export_api_write"
"""Lets Ray write down all it knows of its datasets, as it does where it is monitored."""


ROOT = Path(__file__).parents[2]


@contextmanager
def local_ray(temporary: str) -> Iterator[None]:
    """Run Ray with two cores inside the block; its files lie in `temporary`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv(EXPORTS, "1")
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        # What pytest gives the tests, and not the workers that run their functions.
        for folder in (ROOT, ROOT / "tests"):
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            logging_level=logging.WARNING,
            _temp_dir=temporary,
            object_store_memory=200 * 2**20,
        )
        try:
            DataContext.get_current().enable_progress_bars = False
            yield
        finally:
            ray.shutdown()
