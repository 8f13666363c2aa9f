"""Requests: one for one object, whole or by byte range."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from aistore.sdk.types import BucketEntry
from urllib3.response import BaseHTTPResponse

from aisdatapipes.client.connection import bucket_for, sdk_object
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.etl import ETLCall
from aisdatapipes.metrics.counters import increment
from aisdatapipes.reading.direct import request_range_of, request_target
from aisdatapipes.types import ETLConfig, Object
from aisdatapipes.urls import ParsedURL, is_utf8, parse_object_url

__all__ = ["ObjectRequest"]


@dataclass(frozen=True)
class ObjectRequest:
    """What it takes to request an object, now or in another process: plain data.

    Attributes:
        url: The object, and the ETL that the cluster applies to it, if any.
        endpoint: Address of the cluster.
        settings: Time-outs and retries.
        is_verified: Whether the object's checksum is compared when it is read to its end.
        begin: From which byte on it is read.
    """

    url: ParsedURL
    endpoint: str
    settings: Settings
    is_verified: bool = False
    begin: int = 0

    @property
    def label(self) -> str:
        """The object, as messages name it."""
        through = f", through {self.etl}" if self.etl else ""
        return f"{self.url.name!r} in {self.url.bucket_url} at {self.endpoint}{through}"

    @property
    def etl(self) -> ETLCall | None:
        """What the cluster makes of the object; None for the object as it is."""
        return self.url.etl

    @classmethod
    def parse(
        cls,
        url: str,
        endpoint: str,
        settings: Settings,
        etl: ETLCall | None = None,
        *,
        is_verified: bool = False,
    ) -> ObjectRequest:
        """Make the request for the object at `url`.

        A full URL's own ETL goes before `etl`.

        Raises:
            InvalidURLError: `url` is not that of an object, or it is a full URL of another
                cluster: data must not decide where requests, and with them tokens, go. Or it wants
                an ETL, whose results have no checksums, and `is_verified`.
        """
        parsed = parse_object_url(url)
        if parsed.endpoint not in ("", endpoint):
            raise InvalidURLError(
                f"{url!r} is on another cluster than {endpoint}: pass url={parsed.endpoint!r}"
            )
        if is_verified and parsed.etl:
            raise InvalidURLError(
                f"{url!r} is what an ETL makes, which has no checksum: leave out verify"
            )
        parsed = replace(parsed, etl=etl) if etl and not parsed.etl else parsed
        return cls(parsed, endpoint, settings, is_verified)

    def send(self, first_byte: int | None = None, last_byte: int | None = None) -> BaseHTTPResponse:
        """Request the object, or a range of its bytes.

        Args:
            first_byte: Where to begin; None for `begin`.
            last_byte: The last byte wanted, inclusive; None for the end of the object.

        Returns:
            The response with its body unread; the caller reads or closes it.

        Raises:
            ObjectNotFoundError: There is no such object.
            AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
        """
        first_byte = self.begin if first_byte is None else first_byte
        whole = not first_byte and last_byte is None
        byte_range = "" if whole else f"bytes={first_byte}-{'' if last_byte is None else last_byte}"
        increment("requests")
        with translated_errors(self.url, self.endpoint):
            if self.etl and whole and (response := self._request_target(self.etl)):
                return response
            reader = self.sdk_object().get_reader(
                byte_range=byte_range or None,
                etl=cast("ETLConfig", self.etl),
            )
            return reader.raw()

    def send_to(self, address: str, first_byte: int, last_byte: int) -> BaseHTTPResponse | None:
        """Request a range of the node that has answered before, without asking the proxy again.

        Args:
            address: The URL of that answer.
            first_byte: Where to begin.
            last_byte: The last byte wanted, inclusive.

        Returns:
            The response with its body unread; None if `send` is to be used instead.
        """
        with translated_errors(self.url, self.endpoint):
            bucket = bucket_for(self.url, self.endpoint, self.settings)
            return request_range_of(bucket, address, first_byte, last_byte)

    def _request_target(self, etl: ETLCall) -> BaseHTTPResponse | None:
        """Request what an ETL makes: many small requests, which concurrency has to pay for."""
        if self.url.uuid or self.url.namespace or not is_utf8(self.url.name):
            return None
        bucket = bucket_for(self.url, self.endpoint, self.settings)
        return request_target(bucket, self.url.name, {**bucket.qparam, **etl.fields()})

    def ask_size(self) -> int:
        """Ask the cluster for the object's bytes, by a HEAD request.

        Raises:
            AISPipeError: There is no such object, with a status of 404, or another failure, as
                `aisdatapipes.client.translation.ERROR_TABLE` maps it.
        """
        with translated_errors(self.url, self.endpoint):
            return self.sdk_object().head().size

    def sdk_object(self, size: int | None = None) -> Object:
        """Return the SDK's object, on this process's client; sends no request.

        Args:
            size: Its bytes, to be in its ``props_cached``; None for none there.
        """
        name, props = self.url.name, None
        if size is not None:
            props = BucketEntry(n=name, s=size).generate_object_props()
        return sdk_object(bucket_for(self.url, self.endpoint, self.settings), name, props)
