"""Diagnosis: what has to be right between this machine and a cluster, one thing after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from aisdatapipes.client.connection import client_for, resolve_endpoint
from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError
from aisdatapipes.urls import ParsedURL

__all__ = ["Finding", "diagnose"]

_MOST_APART_S = 60
_PACKAGES = ("aisdatapipes", "aistore", "torch", "torchdata", "fsspec")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: Which.
        is_good: Whether it is as it should be.
        text: How it is, or what to do; no secret.
    """

    topic: str
    is_good: bool
    text: str


def diagnose(endpoint: str | None) -> Iterator[Finding]:
    """Yield what is found, as it is found; behind a cluster that does not answer, nothing more.

    Args:
        endpoint: Address of the cluster; default ``$AIS_ENDPOINT``.
    """
    yield _versions()
    yield _pipes()
    yield _token()
    address = endpoint or ""
    try:
        address = resolve_endpoint(endpoint)
        yield _proxies(address)
        answer = _ask(address, "v1/daemon", {"what": "smap"})
        nodes = ClusterMap.parse(answer.json())
    except AISPipeError as error:
        yield Finding("endpoint", False, error.message)
        return
    except (KeyError, TypeError, ValueError):
        yield Finding("endpoint", False, f"what answers at {address} is no AIStore proxy")
        return
    yield Finding("endpoint", True, f"{address}, cluster {nodes.uuid}")
    yield _tls(address)
    yield _clock(answer.headers.get("Date", ""))
    for kind, addresses in (("proxy", nodes.proxies), ("target", nodes.targets)):
        for name, node in addresses.items():
            yield _node(kind, name, node)
    if not nodes.targets:
        yield Finding("target", False, "the cluster has none: start one")


def _versions() -> Finding:
    found = {name: _version_of(name) for name in _PACKAGES}
    return Finding("versions", True, ", ".join(f"{name} {one}" for name, one in found.items()))


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _pipes() -> Finding:
    if find_spec("torchdata") is None or not _version_of("torchdata").startswith("0.9"):
        return Finding("pipes", True, "no pipes of torchdata's own")
    return Finding(
        "pipes",
        True,
        "torchdata has pipes of its own by the same names, which fail with this SDK: every script "
        "needs `import aisdatapipes`",
    )


def _token() -> Finding:
    if os.environ.get("AIS_AUTHN_TOKEN"):
        return Finding("token", True, "from $AIS_AUTHN_TOKEN")
    file = os.environ.get("AIS_AUTHN_TOKEN_FILE")
    if not file:
        return Finding("token", True, "none: right for a cluster that asks for none")
    if os.access(file, os.R_OK):
        return Finding("token", True, f"from {file}")
    return Finding("token", False, f"cannot read {file}: correct $AIS_AUTHN_TOKEN_FILE")


def _proxies(address: str) -> Finding:
    found = [name for name in _PROXIES for name in (name, name.upper()) if os.environ.get(name)]
    if not found:
        return Finding("proxies", True, "no HTTP proxy is set")
    host = address.partition("://")[2].partition(":")[0]
    return Finding("proxies", True, f"{', '.join(found)} set: add {host} to no_proxy if it is near")


def _tls(address: str) -> Finding:
    if address.startswith("http:"):
        return Finding("TLS", True, "none: data and tokens go as they are")
    if not _session(address).verify:
        return Finding("TLS", False, "the certificate is not verified: set AIS_CLIENT_CA instead")
    return Finding("TLS", True, "the certificate is verified")


def _clock(date: str) -> Finding:
    if not date:
        return Finding("clock", True, "the cluster tells no time")
    apart_s = abs(time.time() - parsedate_to_datetime(date).timestamp())
    is_good = apart_s < _MOST_APART_S
    advice = "" if is_good else ": set both by NTP, as tokens and certificates go by it"
    return Finding("clock", is_good, f"{apart_s:.0f} s from the cluster's{advice}")


def _node(kind: str, name: str, address: str) -> Finding:
    try:
        begin = time.perf_counter()
        _ask(address, "v1/health", {})
        took_ms = 1000 * (time.perf_counter() - begin)
        text = f"{name} at {address} answers in {took_ms:.0f} ms, AIStore {_release_of(address)}"
        return Finding(kind, True, text)
    except AISPipeError as error:
        return Finding(
            kind,
            False,
            f"{name} at {address} cannot be reached from here, and data comes from there: open "
            f"that port, or give the node a public address ({error.message})",
        )


def _release_of(address: str) -> str:
    status = _ask(address, "v1/daemon", {"what": "node_status"}).json()
    return str(status.get("ais_version", "of an unknown version"))


def _ask(address: str, path: str, query: dict[str, str]) -> Any:
    """Send one request, to any node, with a short wait."""
    with translated_errors(ParsedURL("ais", "*"), address, "look at"):
        answer = _session(address).get(f"{address}/{path}", params=query, timeout=(2, 5))
        answer.raise_for_status()
        return answer


def _session(address: str) -> Any:
    settings = Settings(max_retries=0, outage_deadline_s=0)
    requester: Any = client_for(address, settings).bucket("any").client
    return requester.session_manager.session
