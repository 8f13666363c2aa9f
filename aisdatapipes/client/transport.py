"""Transport: the session of a client, with its own ways through requests for GETs and writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import urllib3
from aistore.sdk.session_manager import SessionManager
from requests.auth import AuthBase
from requests.hooks import default_hooks, dispatch_hook
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from aisdatapipes.client.adapter import Adapter
from aisdatapipes.client.attempts import Attempts
from aisdatapipes.client.knowledge import known_cluster
from aisdatapipes.client.patience import Patience
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.verdicts import is_from, judge

__all__ = ["send_once", "use_session"]

_PLAIN_OPTIONS = {"params", "headers", "timeout", "stream"}
_PLAIN_METHODS = ("HEAD", "PUT")


def use_session(
    requester: Any, auth: AuthBase, endpoint: str, settings: Settings
) -> requests.Session:
    """Let a request client of the SDK send by a session of ours, set up as its own; return it.

    Args:
        requester: The request client, used by this process alone.
        auth: Authorizes what goes to the cluster's own addresses.
        endpoint: Address of the cluster.
        settings: How patient it is.
    """
    session = _Session(requester.session_manager.session, auth, endpoint, settings)
    requester.session_manager = _FixedSession(requester.session_manager, session)
    return session


def send_once(
    session: Any, method: str, url: str, body: Any, headers: Mapping[str, str]
) -> requests.Response:
    """Send one request as it is, and never again: no retry, no redirect, no token.

    For what must not happen twice, at an address that a redirect of the cluster led to, which
    lets the request in. Certificates are verified and shown as in all other requests.

    Args:
        session: The session of a client, from `use_session`.
        method: ``PUT`` or ``POST``.
        url: The address.
        body: Bytes, or pieces of them with a length; not a generator.
        headers: What else goes with it.

    Raises:
        requests.RequestException: There was no answer. What was sent may have been carried out.
    """
    return session.send_once(method, url, body, headers)


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
    """Sends plain GETs, and what else has no body, with half the work.

    For a GET that is redirected, as those of objects are, requests looks five times through the
    whole environment for proxies, and merges cookies and settings that nobody gave; that is more
    than half of what a client spends on a small object. Here the environment's proxies are looked
    up once for every address, for other requests too. Where the certificates are left to the
    environment, it is as it was.

    Args:
        like: Whose settings it takes over.
        auth: Authorizes what goes to the cluster's own addresses.
        endpoint: Address of the cluster.
        settings: Time-outs, and how patient it is.

    Attributes:
        patience: What its requests have found out of the cluster.
    """

    def __init__(
        self, like: requests.Session, auth: AuthBase, endpoint: str, settings: Settings
    ) -> None:
        super().__init__()
        self.patience = Patience(endpoint, settings, self._ask)
        self._endpoint, self._settings = endpoint, settings
        self.__setstate__(like.__getstate__())  # pyright: ignore[reportAttributeAccessIssue]
        self.auth = self._authorize = auth
        self._proxies: dict[tuple[str, ...], dict[str, str]] = {}
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter(like.get_adapter(scheme), self.verify))
        self._once = Adapter(like.get_adapter("https://"), self.verify)
        self._once.max_retries = urllib3.Retry(0, read=False)

    def send_once(
        self, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> requests.Response:
        """Send a request without retries, redirects and token; see the function."""
        request = requests.PreparedRequest()
        request.prepare(method, url, {**self.headers, **headers}, data=body)
        options = {"verify": self.verify, "cert": self.cert, "proxies": self.proxies_for(url)}
        if self._is_by_environment(url):
            options = self.merge_environment_settings(url, {}, False, self.verify, self.cert)
        # urllib3 gives each piece that is sent as long as a connection may take.
        timeout = self._settings.read_timeout_s, self._settings.read_timeout_s
        response = self._once.send(request, timeout=timeout, **options)
        _ = response.content  # so that the connection can be used again
        return response

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request, as the SDK has it; one to the cluster's own address again and again.

        See `aisdatapipes.client.patience` for how often, and for how long.
        """
        method = method.upper()
        if not url.startswith(f"{self._endpoint}/"):
            return self._request(method, url, *args, **options)
        path = url[len(self._endpoint) :]
        attempts = Attempts(self.patience)
        while True:
            address = self.patience.address
            outcome = self._attempt(method, address + path, *args, **options)
            verdict = judge(method, outcome, options.get("data"))
            if verdict == "answered":
                attempts.succeeded()
            elif verdict != "final":
                if is_from(address, outcome):
                    self.patience.fail_over(address)
                if attempts.failed(is_refused=verdict == "doubtful"):
                    continue
            if isinstance(outcome, requests.Response):
                return outcome
            raise outcome

    def _attempt(
        self, method: str, url: str, *args: Any, **options: Any
    ) -> requests.Response | requests.RequestException:
        """Send a request a single time, and return what it raises if there is no answer."""
        try:
            return self._request(method, url, *args, **options)
        except requests.RequestException as error:
            return error

    def _request(self, method: str, url: str, *args: Any, **options: Any) -> requests.Response:
        """Send a request a single time."""
        is_stream = method == "GET" and bool(options.get("stream"))
        is_plain = is_stream or (method in _PLAIN_METHODS and "stream" not in options)
        is_plain = is_plain and {*options, "stream"} == _PLAIN_OPTIONS
        if not is_plain or args or self._is_by_environment(url):
            return super().request(method, url, *args, **options)
        fields = {name: value for name, value in options["params"].items() if value is not None}
        query = urlencode(fields, doseq=True)
        headers, timeout = options["headers"], options.get("timeout")
        response = self._follow(method, f"{url}?{query}", headers, timeout)
        if not is_stream:
            _ = response.content  # so that the connection can be used again
        return response

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """Return how to send a request; requests calls it."""
        if proxies or self._is_by_environment(url):
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {
            "proxies": dict(self.proxies_for(url)),
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }

    def rebuild_proxies(self, prepared_request: Any, proxies: Any) -> Any:
        """Return the proxies for where a redirect leads to; requests calls it."""
        if self.proxies_for(prepared_request.url):
            return super().rebuild_proxies(prepared_request, proxies)
        return {}

    def _follow(
        self, method: str, url: str, headers: dict[str, str], timeout: Any
    ) -> requests.Response:
        """Send a request, and follow the redirects; the body of the last one is unread."""
        first = url
        for _ in range(self.max_redirects):
            request = self._prepared(method, url, headers)
            if url == first or not self.should_strip_auth(first, url):
                self._authorize(request)
            options = {
                "stream": True,
                "timeout": timeout,
                "verify": self.verify,
                "cert": self.cert,
                "proxies": self.proxies_for(url),
            }
            response = self.get_adapter(url).send(request, **options)
            response = dispatch_hook("response", request.hooks, response, **options)
            target = self.get_redirect_target(response)
            if not target:
                response.raw.url = url  # urllib3 knows the path only
                return response
            response.raw.drain_conn()
            self.rebuild_method(request, response)
            method = request.method or method
            url = urljoin(url, target)
        raise requests.TooManyRedirects(f"more than {self.max_redirects} redirects of {first}")

    def _ask(self, url: str, fields: Mapping[str, str]) -> Any:
        """Return the JSON that a node answers with, soon; None if it does not."""
        addresses = known_cluster(self._endpoint).addresses(self._endpoint)
        is_known = any(url.startswith(f"{address}/") for address in addresses)
        auth = self._authorize if is_known else _without_token
        timeout = self._settings.connect_timeout_s, self._settings.connect_timeout_s
        try:
            response = super().request("GET", url, dict(fields), auth=auth, timeout=timeout)
            return response.json() if response.ok else None
        except (requests.RequestException, ValueError):
            return None

    def _is_by_environment(self, url: str) -> bool:
        """Whether the environment may name the certificates to trust."""
        return self.verify is True and url.startswith("https:")

    def proxies_for(self, url: str) -> dict[str, str]:
        """Return the HTTP proxies that the environment names for an address."""
        address = urlsplit(url)[:2]
        if address not in self._proxies:
            self._proxies[address] = get_environ_proxies(url)
        return self._proxies[address]

    def _prepared(self, method: str, url: str, headers: dict[str, str]) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.method, request.url, request.hooks = method, url, default_hooks()
        request.headers = CaseInsensitiveDict({**self.headers, **headers})
        return request


def _without_token(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
