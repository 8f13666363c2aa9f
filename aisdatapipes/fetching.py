"""Fetching: one request for one object, whole or by byte range."""

from __future__ import annotations

from dataclasses import dataclass

from aistore.sdk.etl import ETLConfig
from urllib3.response import BaseHTTPResponse

from aisdatapipes.client import bucket_for
from aisdatapipes.counters import note
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.settings import Settings
from aisdatapipes.translation import translated_errors
from aisdatapipes.urls import ParsedURL, parse_object_url

__all__ = ["ObjectRequest"]


@dataclass(frozen=True)
class ObjectRequest:
    """What it takes to ask for an object, now or in another process: plain data.

    Attributes:
        url: The object.
        endpoint: Address of the cluster.
        settings: Time-outs and retries.
        etl_name: ETL that the cluster applies to the object; None for the object as it is.
        is_verified: Whether the object's checksum is compared when it is read to its end.
    """

    url: ParsedURL
    endpoint: str
    settings: Settings
    etl_name: str | None = None
    is_verified: bool = False

    @property
    def thing(self) -> str:
        """The object, as messages name it."""
        return f"{self.url.name!r} in {self.url.bucket_url} at {self.endpoint}"

    @classmethod
    def parse(
        cls,
        url: str,
        endpoint: str,
        settings: Settings,
        etl_name: str | None = None,
        *,
        is_verified: bool = False,
    ) -> ObjectRequest:
        """Make the request for the object at `url`.

        A full URL's own ETL goes before `etl_name`.

        Raises:
            InvalidURLError: `url` is not that of an object, or it is a full URL of another
                cluster: data must not decide where requests, and with them tokens, go.
        """
        parsed = parse_object_url(url)
        if parsed.endpoint not in ("", endpoint):
            raise InvalidURLError(
                f"{url!r} is on another cluster than {endpoint}: pass url={parsed.endpoint!r}"
            )
        return cls(parsed, endpoint, settings, parsed.etl_name or etl_name, is_verified)

    def send(self, first_byte: int = 0, last_byte: int | None = None) -> BaseHTTPResponse:
        """Ask for the object, or for a range of its bytes.

        Args:
            first_byte: Where to begin.
            last_byte: The last byte wanted, inclusive; None for the end of the object.

        Returns:
            The response with its body unread; the caller reads or closes it.

        Raises:
            ObjectNotFoundError: There is no such object.
            AISPipeError: Another failure, as `aisdatapipes.translation.ERROR_TABLE` maps it.
        """
        whole = not first_byte and last_byte is None
        byte_range = "" if whole else f"bytes={first_byte}-{'' if last_byte is None else last_byte}"
        note("requests")
        with translated_errors(self.url, self.endpoint):
            reader = (
                bucket_for(self.url, self.endpoint, self.settings)
                .object(self.url.name)
                .get_reader(
                    byte_range=byte_range or None,
                    etl=ETLConfig(name=self.etl_name) if self.etl_name else None,
                )
            )
            return reader.raw()
