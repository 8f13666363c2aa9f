"""A real AIStore cluster on this machine, for tests, demonstrations and notebooks."""

from aisdatapipes.testing.cluster import LocalCluster
from aisdatapipes.testing.errors import BinaryNotFoundError, ClusterStartError

__all__ = ["BinaryNotFoundError", "ClusterStartError", "LocalCluster"]
