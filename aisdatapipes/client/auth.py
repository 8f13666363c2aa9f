"""Tokens: where they come from, and the one place that puts them into requests.

A token is sent to the endpoint that it was given for, and nowhere else: on a redirect to another
address requests takes it out again, and the nodes of AIStore ask for none, as it is the proxy's
redirect that lets a client in (``_verifyUnsigned`` in AIStore v1.5.0, ``ais/target.go``).
"""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from aisdatapipes.client.settings import Settings, is_token
from aisdatapipes.errors import AuthenticationError

__all__ = ["TokenAuth"]

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class TokenAuth(AuthBase):
    """Authorizes every request of a session with the token of the moment.

    From ``settings.token``, ``settings.token_file``, ``$AIS_AUTHN_TOKEN`` or
    ``$AIS_AUTHN_TOKEN_FILE``, the first that is set; without any, requests go without. A file is
    read again when it has changed, and when the cluster refuses what it held: then the request is
    sent once more, if the token is another one now.

    Args:
        settings: Where the token comes from.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: tuple[object, str] = (None, "")  # the file's stamp, and its token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token into a request."""
        if token := self.token():
            request.headers["Authorization"] = f"Bearer {token}"
            request.register_hook("response", self._try_again)
        return request

    def token(self) -> str:
        """Return the token of the moment; empty if there is none.

        Raises:
            AuthenticationError: The file that should hold it cannot be read, or holds none.
        """
        if self._settings.token:
            return self._settings.token
        path = self._settings.token_file
        if not path and (token := os.environ.get("AIS_AUTHN_TOKEN")):
            return _checked(token.strip(), "AIS_AUTHN_TOKEN")
        path = path or os.environ.get("AIS_AUTHN_TOKEN_FILE")
        return self._token_in(Path(path)) if path else ""

    def _token_in(self, path: Path) -> str:
        try:
            stat = path.stat()
            stamp = path, stat.st_mtime_ns, stat.st_size, stat.st_ino
            if self._read[0] == stamp:
                return self._read[1]
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            if self._read[1]:  # somebody is replacing the file
                return self._read[1]
            reason = getattr(error, "strerror", None) or "it is no text"
            raise AuthenticationError(f"cannot read the token file {path}: {reason}") from None
        self._read = stamp, _checked(_parse(text), str(path))
        return self._read[1]

    def _try_again(self, response: Response, **options: Any) -> Response:
        """Answer a refusal by the same request with a newer token, if there is one."""
        sent = response.request.headers.get("Authorization")
        if response.status_code not in _REFUSALS or not sent:
            return response
        self._read = None, self._read[1]
        newer = f"Bearer {self.token()}"
        if newer == sent:
            return response
        response.close()
        request = response.request.copy()
        request.headers["Authorization"] = newer
        retried = response.connection.send(request, **options)  # pyright: ignore[reportAttributeAccessIssue]
        retried.history.append(response)
        retried.request = request
        return retried


def _parse(text: str) -> str:
    """Return the token in a file: all of it, or what AIStore's command line writes."""
    try:
        return str(json.loads(text)["token"])
    except (ValueError, TypeError, KeyError):
        return text.strip()


def _checked(token: str, source: str) -> str:
    if is_token(token):
        return token
    raise AuthenticationError(f"{source} holds no token: write the token alone, in one line")
