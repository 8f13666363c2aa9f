"""Pages: the names that an AIStore node lists at a time, whatever bytes the names are.

AIStore takes any bytes for a name and sends them as they are, as if they were UTF-8. Where they
are not, the SDK cannot read the whole page. Here such bytes are lone surrogates in the name, as
those of file names are in Python (`PEP 383 <https://peps.python.org/pep-0383/>`_), and go back to
the cluster as the bytes that they were.
"""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import Any

from aistore.sdk import errors as sdk
from aistore.sdk.const import (
    ACT_LIST,
    HEADER_ACCEPT,
    HEADER_CONTENT_TYPE,
    HTTP_METHOD_GET,
    JSON_CONTENT_TYPE,
    MSGPACK_CONTENT_TYPE,
    URL_PATH_BUCKETS,
)
from aistore.sdk.response_handler import AISResponseHandler
from aistore.sdk.types import ActionMsg, BucketEntry, BucketList, ListObjectsMsg
from msgspec import MsgspecError, Raw, Struct, msgpack
from requests import RequestException, Response

from aisdatapipes.client.connection import attempts_of
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import BucketNotFoundError, ClusterError
from aisdatapipes.processes.background import pause
from aisdatapipes.types import Bucket
from aisdatapipes.urls import ParsedURL, is_utf8

__all__ = ["name_bytes", "request_page"]

# How often, and in what time, it is looked whether a bucket ends.
_LOOKS = 3
_LOOK_AGAIN_S = 0.2

# Length in bytes of what is before a text in msgpack, by its first byte; 1 for short texts.
_HEADER_BYTES = {0xD9: 2, 0xDA: 3, 0xDB: 5}


def request_page(
    bucket: Bucket, url: ParsedURL, endpoint: str, message: ListObjectsMsg
) -> BucketList:
    """Request a page of names; the SDK's own call also makes an `Object` of each, as slowly.

    Args:
        bucket: Its client sends the request.
        url: What is listed, for the messages of errors.
        endpoint: Address of the cluster, likewise.
        message: Which page.

    Raises:
        BucketNotFoundError: The cluster has no such bucket, or no longer.
        ClusterError: What comes is no page of a listing, or lacks names, as the cluster is not
            whole.
    """
    action = ActionMsg(action=ACT_LIST, value=message.as_dict()).model_dump()
    is_text = all(map(is_utf8, (message.prefix, message.start_after, message.continuation_token)))
    send = partial(_send if is_text else _send_bytes, bucket, action)
    attempts = attempts_of(bucket)
    if attempts:
        attempts.expect_pages()
    try:
        with translated_errors(url, endpoint):
            response = send()
            while attempts and not attempts.saw_page():
                response = send()
    except ClusterError as error:
        if error.status_code != HTTPStatus.BAD_REQUEST:  # that of a prefix, for one
            _check_bucket(bucket, url, endpoint)
        raise
    try:
        return _decoded(response)
    except MsgspecError:
        raise ClusterError(
            f"cannot list {url.bucket_url} at {endpoint}: its answer is no page of a listing; is "
            "it an AIStore cluster?"
        ) from None


def _check_bucket(bucket: Bucket, url: ParsedURL, endpoint: str) -> None:
    """Raise what is behind a listing that broke off, if that is the end of its bucket.

    AIStore says that the listing is gone, or that a target hung up; and the proxy still has the
    bucket for a moment.
    """
    for _ in range(_LOOKS):
        try:
            bucket.head()
        except (sdk.APIRequestError, RequestException) as error:
            if getattr(error, "status_code", 0) != HTTPStatus.NOT_FOUND:
                return
            raise BucketNotFoundError(
                f"no bucket {url.bucket_url} at {endpoint}: it was there when its listing began"
            ) from None
        pause(_LOOK_AGAIN_S)


def name_bytes(name: str) -> bytes:
    """Return the bytes of a name, by which AIStore orders names."""
    return name.encode("utf-8", "surrogateescape")


def _send(bucket: Bucket, action: dict[str, Any]) -> Response:
    return bucket.client.request(
        HTTP_METHOD_GET,
        path=f"{URL_PATH_BUCKETS}/{bucket.name}",
        headers={HEADER_ACCEPT: MSGPACK_CONTENT_TYPE},
        json=action,
        params=bucket.qparam,
    )


def _send_bytes(bucket: Bucket, action: dict[str, Any]) -> Response:
    """Do the same with names that are not UTF-8, which requests would not write into its JSON.

    Not by the SDK's client, which sends no body to an HTTPS address before it is redirected.
    """
    client = bucket.client
    headers = {HEADER_ACCEPT: MSGPACK_CONTENT_TYPE, HEADER_CONTENT_TYPE: JSON_CONTENT_TYPE}
    if client.token:
        headers["Authorization"] = f"Bearer {client.token}"
    response = client.session_manager.session.request(
        HTTP_METHOD_GET,
        f"{client.base_url}/{URL_PATH_BUCKETS}/{bucket.name}",
        headers=headers,
        data=name_bytes(json.dumps(action, ensure_ascii=False)),
        params=bucket.qparam,
        timeout=client.timeout,
    )
    return AISResponseHandler().handle_response(response)


class _RawEntry(Struct):
    n: Raw
    cs: str = ""
    v: str = ""
    s: int = 0
    f: int = 0


class _RawPage(Struct):
    UUID: str
    ContinuationToken: Raw
    Flags: int
    Entries: list[_RawEntry] | None = None


def _decoded(response: Response) -> BucketList:
    try:
        return msgpack.decode(response.content, type=BucketList)
    except UnicodeDecodeError:
        page = msgpack.decode(response.content, type=_RawPage)
    entries = [
        BucketEntry(n=_text(entry.n), cs=entry.cs, v=entry.v, s=entry.s, f=entry.f)
        for entry in page.Entries or ()
    ]
    return BucketList(page.UUID, _text(page.ContinuationToken), page.Flags, entries)


def _text(raw: Raw) -> str:
    packed = bytes(raw)
    return packed[_HEADER_BYTES.get(packed[0], 1) :].decode("utf-8", "surrogateescape")
