"""What can go wrong while a local cluster starts; each class takes one ready-made message."""


class ClusterStartError(RuntimeError):
    """A node of a local cluster ended, or was not ready in time; holds the tail of its output."""


class BinaryNotFoundError(ClusterStartError, FileNotFoundError):
    """There is no ``aisnode`` binary and no way to build one, or ``$AISNODE`` names none."""
