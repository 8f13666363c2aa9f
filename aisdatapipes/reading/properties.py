"""Properties: what the cluster knows of an object beside its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import quote

from aistore.sdk.const import HTTP_METHOD_HEAD, QPARAM_PROPS, URL_PATH_OBJECTS
from aistore.sdk.errors import AISError

from aisdatapipes.client.connection import bucket_for
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import ObjectNotFoundError
from aisdatapipes.reading.request import ObjectRequest

__all__ = ["ObjectProperties", "ask_properties"]

_PROPS = "size,checksum,version,last-modified,etag,custom"


@dataclass(frozen=True)
class ObjectProperties:
    """What the cluster knows of an object.

    Attributes:
        size: Bytes.
        checksum: In hexadecimal; empty if the bucket keeps none.
        checksum_type: ``xxhash2`` or another; empty likewise.
        version: Empty if the bucket keeps none.
        etag: Of the content and the time it was written; empty if the cluster gives none.
        mtime: When it was written, to the second; None if the cluster does not tell.
        custom: What users and clouds have added.
    """

    size: int
    checksum: str = ""
    checksum_type: str = ""
    version: str = ""
    etag: str = ""
    mtime: datetime | None = None
    custom: Mapping[str, str] = field(default_factory=dict)


def ask_properties(request: ObjectRequest) -> ObjectProperties:
    """Ask the cluster for an object's properties, by a HEAD request.

    Raises:
        ObjectNotFoundError: There is no such object, or no such bucket: the answer does not tell.
        AISPipeError: Another failure, as `aisdatapipes.client.translation.ERROR_TABLE` maps it.
    """
    bucket = bucket_for(request.url, request.endpoint, request.settings)
    path = f"{URL_PATH_OBJECTS}/{bucket.name}/{quote(request.url.name, errors='surrogateescape')}"
    with translated_errors(request.url, request.endpoint):
        try:
            response = bucket.client.request(
                HTTP_METHOD_HEAD, path=path, params={**bucket.qparam, QPARAM_PROPS: _PROPS}
            )
        except AISError as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            raise ObjectNotFoundError(
                f"no object {request.label}: list the bucket for the names it has"
            ) from None
    return _parsed(response.headers)


def _parsed(headers: Mapping[str, str]) -> ObjectProperties:
    time = headers.get("Last-Modified")
    # The header is UTF-8, which requests takes for Latin-1.
    custom = headers.get("Ais-Custom-Md", "").encode("latin-1").decode(errors="replace")
    pairs = (pair.partition("=") for pair in custom.split(", ") if "=" in pair)
    return ObjectProperties(
        size=int(headers["Content-Length"]),
        checksum=headers.get("Ais-Checksum-Value", ""),
        checksum_type=headers.get("Ais-Checksum-Type", ""),
        version=headers.get("Ais-Version", ""),
        etag=headers.get("ETag", "").strip('"'),
        mtime=parsedate_to_datetime(time) if time else None,
        custom={name: value for name, _, value in pairs},
    )
