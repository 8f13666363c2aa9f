"""Tokens that the tests sign themselves: those that a server never gives, as expired ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any


def resign(token: str, secret: str, expires_in_s: float) -> str:
    """Return `token` with another time of its end, signed with the server's secret."""
    header, claims, _ = token.split(".")
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    payload["exp"] = int(time.time() + expires_in_s)
    signed = f"{header}.{_base64(json.dumps(payload).encode())}"
    digest = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64(digest)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
