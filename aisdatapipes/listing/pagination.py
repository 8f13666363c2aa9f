"""Paging: what a bucket lists, page by page, without losing names between the pages."""

from __future__ import annotations

from collections.abc import Iterator

from aistore.sdk import Bucket, ListObjectFlag
from aistore.sdk.const import (
    ACT_LIST,
    HEADER_ACCEPT,
    HTTP_METHOD_GET,
    MSGPACK_CONTENT_TYPE,
    URL_PATH_BUCKETS,
)
from aistore.sdk.types import ActionMsg, BucketEntry, BucketList, ListObjectsMsg

from aisdatapipes.client.translation import translated_errors
from aisdatapipes.urls import ParsedURL

__all__ = ["list_folder", "list_pages", "message_for"]

_BEFORE_SLASH = " !\"#$%&'()*+,-."  # the printable characters that are


def message_for(prefix: str, start_after: str, page_size: int, props: str) -> ListObjectsMsg:
    """Return what asks for the first page; see `ListObjectsMsg`."""
    return ListObjectsMsg(
        prefix=prefix,
        page_size=page_size,
        uuid="",
        props=props,
        continuation_token="",
        flags=[],
        target="",
        start_after=start_after,
    )


def list_folder(
    bucket: Bucket, url: ParsedURL, endpoint: str, message: ListObjectsMsg
) -> Iterator[BucketEntry]:
    """Yield everything under a folder of AIStore's own, of which its pages would lose names.

    AIStore walks ``train/`` before ``train-2/`` and ``train.txt``, and then goes on behind the
    last name of a page byte by byte, where these come first: they are silently left out, on
    several targets others too (``fs/walk.go`` and ``ais/prxlso.go``, v1.5.0). So a listing that
    is not whole in one page is done level by level.
    """
    folder, start_after = message.prefix, message.start_after
    page = next(_pages(bucket, url, endpoint, message))
    if not page.continuation_token:
        yield from page.entries
        return
    for entry in _list_level(bucket, url, endpoint, folder, message.props):
        if entry.n.removesuffix("/") <= start_after:
            continue
        if entry.n.endswith("/"):
            below = message_for(entry.n, "", message.page_size, message.props)
            yield from list_folder(bucket, url, endpoint, below)
        else:
            yield entry


def _list_level(
    bucket: Bucket, url: ParsedURL, endpoint: str, prefix: str, props: str
) -> Iterator[BucketEntry]:
    """Yield the objects and the folders that are right under a folder; these end in a slash.

    By pages as large as they may be: a folder at the end of one hides others as well, and comes
    again. What it may hide is asked for by name.
    """
    message = message_for(prefix, "", 0, props)
    message.flags = [ListObjectFlag.NO_RECURSION]
    folders: set[str] = set()
    for page in _pages(bucket, url, endpoint, message):
        yield from [entry for entry in page.entries if entry.n not in folders]
        folders.update(entry.n for entry in page.entries if entry.n.endswith("/"))
        last = page.entries[-1].n if page.entries and page.continuation_token else ""
        for mark in _BEFORE_SLASH if last.endswith("/") else "":
            yield from _list_level(bucket, url, endpoint, f"{last[:-1]}{mark}", props)


def list_pages(
    bucket: Bucket, url: ParsedURL, endpoint: str, message: ListObjectsMsg
) -> Iterator[BucketEntry]:
    """Yield the entries of all pages, each asked for when its turn comes; clouds page rightly."""
    for page in _pages(bucket, url, endpoint, message):
        yield from page.entries


def _pages(
    bucket: Bucket, url: ParsedURL, endpoint: str, message: ListObjectsMsg
) -> Iterator[BucketList]:
    # Not the SDK's iterator: it fails on an empty page that is not the last.
    while True:
        with translated_errors(url, endpoint):
            page = _request_page(bucket, message)
        yield page
        if not page.continuation_token:
            return
        message.uuid, message.start_after = page.uuid, ""
        message.continuation_token = page.continuation_token


def _request_page(bucket: Bucket, message: ListObjectsMsg) -> BucketList:
    """Ask for a page of names; the SDK's own call also makes an `Object` of each, as slowly."""
    action = ActionMsg(action=ACT_LIST, value=message.as_dict())
    return bucket.client.request_deserialize(
        HTTP_METHOD_GET,
        path=f"{URL_PATH_BUCKETS}/{bucket.name}",
        res_model=BucketList,
        headers={HEADER_ACCEPT: MSGPACK_CONTENT_TYPE},
        json=action.model_dump(),
        params=bucket.qparam,
    )
