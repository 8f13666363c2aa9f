"""Diagnosis: what has to be right between this machine and a cluster, one thing after another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from aisdatapipes.cli.abilities import check_abilities
from aisdatapipes.cli.environment import check_environment
from aisdatapipes.cli.finding import Finding, bad, good, unknown
from aisdatapipes.client.connection import client_for, resolve_endpoint
from aisdatapipes.client.nodes import ClusterMap
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import AISPipeError, AuthenticationError
from aisdatapipes.urls import ParsedURL

__all__ = ["diagnose"]

_MOST_APART_S = 30
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_SETTINGS = Settings(max_retries=0, outage_deadline_s=0, read_timeout_s=5)


def diagnose(endpoint: str | None) -> Iterator[Finding]:
    """Yield what is found, as it is found; behind a cluster that does not answer, nothing more.

    Args:
        endpoint: Address of the cluster; default ``$AIS_ENDPOINT``.
    """
    yield from check_environment()
    address = endpoint or ""
    try:
        address = resolve_endpoint(endpoint)
        yield _proxies([address])
        answer = _ask(address, "v1/daemon", {"what": "smap"})
        nodes = ClusterMap.parse(answer.json())
    except AISPipeError as error:
        yield bad("endpoint", error.message)
        return
    except (KeyError, TypeError, ValueError):
        yield bad("endpoint", f"what answers at {address} is no AIStore proxy")
        return
    yield good("endpoint", f"{address}, cluster {nodes.uuid}")
    yield _tls(address)
    yield from _nodes(nodes)
    yield from check_abilities(address, _SETTINGS, _ask_with)


def _nodes(nodes: ClusterMap) -> Iterator[Finding]:
    own = [*nodes.proxies.values(), *nodes.targets.values()]
    if not (proxies := _proxies(own)).is_good:
        yield proxies
    for kind, addresses in (("proxy", nodes.proxies), ("target", nodes.targets)):
        for name, node in addresses.items():
            yield from _node(kind, name, node)
    if nodes.leaving:
        yield bad("target", f"{', '.join(sorted(nodes.leaving))} is about to leave: wait for it")
    if not nodes.targets:
        yield bad("target", "the cluster has none: start one")


def _proxies(addresses: list[str]) -> Finding:
    """Say which addresses are asked by way of an HTTP proxy, as the environment has it."""
    ways = {one: _session(one).proxies_for(one).get(urlsplit(one).scheme) for one in addresses}
    detours = [one for one, way in ways.items() if way]
    if not detours:
        return good("proxies", "none: no HTTP proxy is between")
    hosts = sorted({urlsplit(one).hostname or "" for one in detours})
    told = f"{', '.join(detours)} by way of the HTTP proxy in the environment"
    if any(map(_is_near, hosts)):
        return bad("proxies", f"{told}, though it is near: add {','.join(hosts)} to no_proxy")
    return good("proxies", f"{told}: add {','.join(hosts)} to no_proxy if that is not wanted")


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _tls(address: str) -> Finding:
    if address.startswith("http:"):
        return good("TLS", "none: data and tokens go as they are")
    if not _session(address).verify:
        return bad("TLS", "the certificate is not verified: set AIS_CLIENT_CA instead")
    return good("TLS", "the certificate is verified")


def _node(kind: str, name: str, address: str) -> Iterator[Finding]:
    try:
        begin = time.perf_counter()
        answer = _ask(address, "v1/health", {})
        took_ms = 1000 * (time.perf_counter() - begin)
        clock = _clock(name, answer.headers.get("Date", ""), time.time())
        release = _release_of(address)
        text = f"{name} at {address} answers in {took_ms:.0f} ms, AIStore {release}"
    except AISPipeError as error:
        yield bad(
            kind,
            f"{name} at {address} cannot be reached from here, and data comes from there: open "
            f"that port, or give the node a public address ({error.message})",
        )
        return
    yield good(kind, text)
    yield clock


def _clock(name: str, date: str, now: float) -> Finding:
    try:
        apart_s = parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return unknown("clock", f"{name} tells no time")
    # Dates are in whole seconds, and were told a moment ago.
    apart_s = 0.0 if -1.5 < apart_s < 0 else apart_s
    if abs(apart_s) < _MOST_APART_S:
        return good("clock", f"{name} and this machine are {abs(apart_s):.0f} s apart")
    which = "ahead of" if apart_s > 0 else "behind"
    return bad(
        "clock",
        f"{name} is {abs(apart_s):,.0f} s {which} this machine: set both by NTP, as tokens and "
        "certificates go by it",
    )


def _release_of(address: str) -> str:
    status = _ask(address, "v1/daemon", {"what": "node_status"}).json()
    return str(status.get("ais_version", "of an unknown version")).rstrip(".")


def _ask(address: str, path: str, query: dict[str, str]) -> Any:
    """Send one request, to any node, with a short wait."""
    with translated_errors(ParsedURL("ais", "*"), address, "look at"):
        answer = _session(address).get(f"{address}/{path}", params=query, timeout=(2, 5))
        if answer.status_code in _REFUSALS:
            raise AuthenticationError(
                f"{address} refuses this job ({answer.status_code} {answer.reason}): set "
                "AIS_AUTHN_TOKEN or AIS_AUTHN_TOKEN_FILE to a token that is good there"
            )
        answer.raise_for_status()
        return answer


def _ask_with(url: str, body: dict[str, Any]) -> Any:
    address = url.partition("/v1/")[0]
    with translated_errors(ParsedURL("ais", "*"), address, "look at"):
        return _session(address).get(url, json=body, timeout=(2, 5))


def _session(address: str) -> Any:
    requester: Any = client_for(address, _SETTINGS).bucket("any").client
    return requester.session_manager.session
