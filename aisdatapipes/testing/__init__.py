"""A real AIStore cluster on this machine, for tests, demonstrations and notebooks."""

from aisdatapipes.testing.authn import AuthnServer
from aisdatapipes.testing.cluster import LocalCluster
from aisdatapipes.testing.errors import BinaryNotFoundError, ClusterStartError
from aisdatapipes.testing.tls import ServerTLS

__all__ = ["AuthnServer", "BinaryNotFoundError", "ClusterStartError", "LocalCluster", "ServerTLS"]
