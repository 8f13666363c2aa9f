"""How one gets at the nodes of a local cluster: by HTTP or HTTPS, with a token or without."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aisdatapipes.testing.tls import ServerTLS

HOST = "127.0.0.1"
_TIMEOUT_S = 5.0
_TOKEN_AGE_S = 24 * 3600


@dataclass(frozen=True)
class Access:
    """What the nodes ask of their clients.

    Attributes:
        tls: Certificates that they serve HTTPS with; None for HTTP.
        auth_secret: What tokens are signed with; None if they ask for none.
    """

    tls: ServerTLS | None = None
    auth_secret: str | None = None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self.tls else "http"

    def connection(self, port: int) -> HTTPConnection:
        """Return a connection to a node; it opens with the first request."""
        if self.tls is None:
            return HTTPConnection(HOST, port, timeout=_TIMEOUT_S)
        context = self.tls.context()
        return HTTPSConnection(HOST, port, timeout=_TIMEOUT_S, context=context)

    def headers(self) -> dict[str, str]:
        """Return the headers that let a request do anything."""
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def token(self) -> str | None:
        """Return an administrator's token, fresh for a day; None where none is needed."""
        if self.auth_secret is None:
            return None
        claims = {"admin": True, "sub": "local", "exp": int(time.time()) + _TOKEN_AGE_S}
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        digest = hmac.digest(self.auth_secret.encode(), signed.encode(), hashlib.sha256)
        return f"{signed}.{_base64(digest)}"


def _encode(part: dict[str, object]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
