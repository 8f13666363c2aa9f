"""Instances: which arguments of a filesystem are the same one, and what is kept of them.

fsspec keeps every filesystem it has made, and finds it again by the text of its arguments. So they
are brought to one form first: the endpoint is resolved, as ``$AIS_ENDPOINT`` may change and a
pickle may be opened where it is not set; all that `Settings` knows is in one; and the token is a
`Token`, whose text is a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.config import apply_config

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.urls import PROVIDERS

__all__ = ["InstanceCache", "Token", "public_options"]

_DIGEST_CHARS = 16
_FIELDS = {one.name for one in fields(Settings)} - {"token"}
_FLAT = ("token_file", "ca_cert", "client_cert", "skip_verify")
_POSITIONAL = (
    *("endpoint", "provider", "token", "token_file", "ca_cert", "client_cert", "skip_verify"),
    *("settings", "block_size", "concurrency"),
)


@dataclass(frozen=True)
class Token:
    """A token that shows a digest of itself only; it pickles whole, and is no JSON.

    Attributes:
        secret: The token.

    Example:
        >>> Token("not to be seen")
        <token a42e226b6d57a947>
    """

    secret: str = field(repr=False)

    def __repr__(self) -> str:
        return f"<token {hashlib.sha256(self.secret.encode()).hexdigest()[:_DIGEST_CHARS]}>"


class InstanceCache(type(AbstractFileSystem)):
    """Makes filesystems, or finds the one of the same arguments that this thread has made."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        """Return the filesystem for some arguments of `AISFileSystem`."""
        if len(args) > len(_POSITIONAL):
            raise TypeError(f"{cls.__name__} takes {len(_POSITIONAL)} arguments, not {len(args)}")
        given = dict(zip(_POSITIONAL, args, strict=False))
        if twice := sorted(given.keys() & options.keys()):
            raise TypeError(f"{cls.__name__} got two values for {', '.join(twice)}")
        return super().__call__(**_in_one_form(apply_config(cls, {**given, **options})))


def _in_one_form(options: dict[str, Any]) -> dict[str, Any]:
    provider = options.pop("provider", None) or "ais"
    if provider not in PROVIDERS:
        known = ", ".join(sorted(set(PROVIDERS.values())))
        raise InvalidURLError(f"no provider {provider!r}: AIStore knows {known}")
    endpoint = resolve_endpoint(options.pop("endpoint", None))
    token, settings = _token_and_settings(options)
    kept = {"endpoint": endpoint, "provider": PROVIDERS[provider]}
    kept |= {"token": token} if token else {}
    kept |= {"settings": settings} if settings != Settings() else {}
    return kept | options


def _token_and_settings(options: dict[str, Any]) -> tuple[Token | None, Settings]:
    """Take out of the options what `Settings` has, and return it, the token by itself."""
    given = options.pop("settings", None) or {}
    # A mapping comes from JSON, or from a file of fsspec's configuration.
    settings = Settings(**_with_tuples(given)) if isinstance(given, Mapping) else given
    flat = {name: options.pop(name, None) for name in _FLAT}
    flat = _with_tuples({name: value for name, value in flat.items() if value})
    token = options.pop("token", None) or settings.token
    secret = token.secret if isinstance(token, Token) else token
    replace(settings, token=secret)  # is it one?
    return Token(secret) if secret else None, replace(settings, **flat, token=None)


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON may have of an instance's options: no token, and plain values."""
    shown = {name: value for name, value in options.items() if name not in ("token", "settings")}
    if settings := options.get("settings"):
        values = {name: getattr(settings, name) for name in sorted(_FIELDS)}
        changed = {k: v for k, v in values.items() if v != getattr(Settings(), k)}
        shown["settings"] = {
            name: value if isinstance(value, (int, float, list)) else _texts(value)
            for name, value in changed.items()
        }
    return shown


def _texts(value: Any) -> Any:
    return [str(one) for one in value] if isinstance(value, tuple) else str(value)
