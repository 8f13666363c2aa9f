"""Environment: what has to be right on this machine, before a cluster is asked anything."""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from aisdatapipes.cli.finding import Finding, bad, good, unknown
from aisdatapipes.client.auth import TokenAuth
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import AISPipeError

__all__ = ["check_environment"]

_PACKAGES = ("aisdatapipes", "aistore", "torch", "torchdata", "fsspec")
_DAY_S, _HOUR_S = 24 * 3600, 3600


def check_environment() -> Iterator[Finding]:
    """Yield what is found of versions, pipes and the token."""
    yield _versions()
    yield _pipes()
    yield _token()


def _versions() -> Finding:
    found = {name: _version_of(name) for name in _PACKAGES}
    told = ", ".join(f"{name} {one}" for name, one in found.items())
    wrong = [one for one in requires("aisdatapipes") or () if not _is_met(one)]
    if wrong:
        return bad("versions", f"{told}: pip install {' '.join(map(repr, wrong))}")
    return good("versions", told)


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _is_met(requirement: str) -> bool:
    """Whether what is installed has the least version that is required, if any is."""
    found = re.match(r"([\w.-]+)[^;]*?>=([\d.]+)[^;]*$", requirement)  # none of an extra
    if not found:
        return True
    installed = _version_of(found[1])
    return installed[0].isdigit() and _numbers(installed) >= _numbers(found[2])


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)[:3]]


def _pipes() -> Finding:
    """Say whose pipes a script gets, which takes torch to be known."""
    try:
        from aisdatapipes.datapipes import TORCHDATA_HAS_PIPES, IterableWrapper
    except ImportError as error:
        return unknown("pipes", f"there are none: {error}")
    pipe = IterableWrapper([]).list_files_by_ais(url="http://any")
    if not type(pipe).__module__.startswith("aisdatapipes."):
        other = type(pipe).__module__
        return bad("pipes", f"list_files_by_ais is that of {other}: import aisdatapipes after it")
    if not TORCHDATA_HAS_PIPES:
        return good("pipes", "ours; this torchdata has none")
    return good(
        "pipes",
        "ours, in place of torchdata's own by the same names, which fail with this SDK: every "
        "script needs `import aisdatapipes  # noqa: F401`",
    )


def _token() -> Finding:
    try:
        token = TokenAuth(Settings()).token()
    except AISPipeError as error:
        return bad("token", error.message)
    if not token:
        return good("token", "none: right for a cluster that asks for none")
    name = "AIS_AUTHN_TOKEN" if os.environ.get("AIS_AUTHN_TOKEN") else "AIS_AUTHN_TOKEN_FILE"
    ends = _end_of(token)
    if ends is None:
        return good("token", f"from ${name}; it does not tell when it ends")
    left_s = ends - time.time()
    if left_s <= 0:
        return bad("token", f"from ${name}, expired {_span(-left_s)} ago: log in again")
    return good("token", f"from ${name}, good for {_span(left_s)}")


def _end_of(token: str) -> float | None:
    """Return when a token ends, which it says itself if it is a JWT."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{token.split('.')[1]}=="))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _span(seconds: float) -> str:
    for name, unit_s in (("days", _DAY_S), ("hours", _HOUR_S), ("minutes", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"
