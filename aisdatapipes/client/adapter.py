"""The adapter: the connections of a session, which end with the process."""

from __future__ import annotations

from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from aisdatapipes.processes.background import add_connection, leave_at_end

__all__ = ["Adapter"]


class _Known(HTTPConnection):
    """A connection that is shut down when the process ends, for whoever waits for it."""

    def connect(self) -> None:
        """Connect; in the background no more when the process ends."""
        leave_at_end()
        super().connect()
        add_connection(self.sock)


class _KnownTLS(_Known, HTTPSConnection):
    """The same by TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Known  # pyright: ignore[reportAssignmentType]


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _KnownTLS  # pyright: ignore[reportAssignmentType]


_POOLS = {"http": _Pool, "https": _TLSPool}


class Adapter(HTTPAdapter):
    """Has connections that end with the process, and repairs two things that requests does.

    It lets ``$REQUESTS_CA_BUNDLE`` go before the certificate that a session was given. And where
    a redirect leads to a name that ends with a semicolon, it leaves that out, so that another
    object would be read.

    Args:
        like: An adapter with the sizes of the pools and the retries.
        verify: As a session has it.
    """

    def __init__(self, like: Any, verify: Any) -> None:
        super().__init__()
        self.__setstate__(like.__getstate__())  # pool sizes and retries
        self._verify = verify

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools; requests calls it."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return the pools of a proxy; requests calls it."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request; to verify by True leaves it to requests and the environment."""
        if self._verify is not True:
            options["verify"] = self._verify
        response = super().send(*args, **options)
        if ";" in (location := response.headers.get("Location", "")):
            response.headers["Location"] = location.replace(";", "%3B")
        return response
