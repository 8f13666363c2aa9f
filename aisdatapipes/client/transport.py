"""Transport: the connections of a client, and a shorter way through requests for its GETs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from aistore.sdk.session_manager import SessionManager
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.hooks import default_hooks, dispatch_hook
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

__all__ = ["use_session"]

_PLAIN_OPTIONS = {"params", "headers", "timeout", "stream"}


def use_session(requester: Any, auth: AuthBase) -> requests.Session:
    """Let a request client of the SDK send by a session of ours, set up as its own; return it.

    Args:
        requester: The request client, used by this process alone.
        auth: Authorizes what goes to the cluster's own address.
    """
    session = _Session(requester.session_manager.session, auth)
    requester.session_manager = _FixedSession(requester.session_manager, session)
    return session


class _FixedSession(SessionManager):
    """Gives out a session that was made elsewhere."""

    def __init__(self, manager: SessionManager, session: requests.Session) -> None:
        vars(self).update(vars(manager))
        self._session = session

    @property
    def session(self) -> requests.Session:
        """The session."""
        return self._session


class _Session(requests.Session):
    """Sends plain GETs with half the work.

    For a GET that is redirected, as those of objects are, requests looks five times through the
    whole environment for proxies, and merges cookies and settings that nobody gave; that is more
    than half of what a client spends on a small object. Here the environment's proxies are looked
    up once for every address. Where the certificates are left to the environment, and for all
    other requests, it is as it was.

    Args:
        like: Whose settings it takes over.
        auth: Authorizes what goes to the cluster's own address.
    """

    def __init__(self, like: requests.Session, auth: AuthBase) -> None:
        super().__init__()
        self.__setstate__(like.__getstate__())  # pyright: ignore[reportAttributeAccessIssue]
        self.auth = self._authorize = auth
        self._proxies: dict[tuple[str, ...], dict[str, str]] = {}
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(like.get_adapter(scheme), self.verify))

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request, as the SDK has it."""
        is_stream = method.upper() == "GET" and options.get("stream")
        is_plain = is_stream and options.keys() == _PLAIN_OPTIONS
        by_environment = self.verify is True and url.startswith("https:")
        if not is_plain or args or by_environment:
            return super().request(method, url, *args, **options)
        fields = {name: value for name, value in options["params"].items() if value is not None}
        query = urlencode(fields, doseq=True)
        return self._get(f"{url}?{query}", options["headers"], options.get("timeout"))

    def _get(self, url: str, headers: dict[str, str], timeout: Any) -> requests.Response:
        """Send a GET, and follow the redirects; the body of the last one is unread."""
        first = url
        for _ in range(self.max_redirects):
            request = self._prepared(url, headers)
            if url == first or not self.should_strip_auth(first, url):
                self._authorize(request)
            options = {
                "stream": True,
                "timeout": timeout,
                "verify": self.verify,
                "cert": self.cert,
                "proxies": self._proxies_for(url),
            }
            response = self.get_adapter(url).send(request, **options)
            response = dispatch_hook("response", request.hooks, response, **options)
            target = self.get_redirect_target(response)
            if not target:
                return response
            response.raw.drain_conn()
            url = urljoin(url, target)
        raise requests.TooManyRedirects(f"more than {self.max_redirects} redirects of {first}")

    def _proxies_for(self, url: str) -> dict[str, str]:
        address = urlsplit(url)[:2]
        if address not in self._proxies:
            self._proxies[address] = get_environ_proxies(url)
        return self._proxies[address]

    def _prepared(self, url: str, headers: dict[str, str]) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.method, request.url, request.hooks = "GET", url, default_hooks()
        request.headers = CaseInsensitiveDict({**self.headers, **headers})
        return request


class _Adapter(HTTPAdapter):
    """Repairs two things that requests does.

    It lets ``$REQUESTS_CA_BUNDLE`` go before the certificate that a session was given. And where
    a redirect leads to a name that ends with a semicolon, it leaves that out, so that another
    object would be read.
    """

    def __init__(self, like: Any, verify: Any) -> None:
        super().__init__()
        self.__setstate__(like.__getstate__())  # pool sizes and retries
        self._verify = verify

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request; to verify by True leaves it to requests and the environment."""
        if self._verify is not True:
            options["verify"] = self._verify
        response = super().send(*args, **options)
        if ";" in (location := response.headers.get("Location", "")):
            response.headers["Location"] = location.replace(";", "%3B")
        return response
