"""Listing: the URLs of the objects under a prefix or in the SDK's sources, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from urllib.parse import urlencode

from aistore.sdk import ListObjectFlag
from aistore.sdk.types import BucketEntry

from aisdatapipes.client.connection import bucket_for, sdk_object
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.etl import ETLCall
from aisdatapipes.listing.matching import matching
from aisdatapipes.listing.pages import name_bytes
from aisdatapipes.listing.pagination import PagedListing
from aisdatapipes.types import AISSource, Bucket, Object, ObjectGroup, Provider, Source
from aisdatapipes.urls import ParsedURL, format_url, is_utf8, parse_url

__all__ = [
    "endpoint_of",
    "list_members",
    "list_sizes",
    "list_source_urls",
    "list_urls",
    "list_versions",
    "matching_names",
    "url_of",
]


def list_urls(
    prefix_url: str, endpoint: str, settings: Settings, *, allow_empty: bool | None = None
) -> Iterator[str]:
    """Yield the URL of every object under a prefix, in the order of the names.

    Lazy: a page of names is requested when the one before it is used up.

    Args:
        prefix_url: ``provider://bucket[/prefix]``; the URLs keep its spelling of the provider.
            The prefix may be a pattern, see `matching`.
        endpoint: Address of the cluster.
        settings: Time-outs, retries and page size.
        allow_empty: See `matching`, as for all others.

    Raises:
        InvalidURLError: `prefix_url` is no URL, or the full URL of one object.
        NoObjectsError: There is no object, and `allow_empty` is False.
        BucketNotFoundError: The cluster has no such bucket.
    """
    parsed = parse_url(prefix_url)
    if parsed.endpoint:
        raise InvalidURLError(
            f"cannot list {prefix_url!r}, the full URL of an object: load it as it is"
        )
    bucket_url = format_url(replace(parsed, name=""))
    bucket = bucket_for(parsed, endpoint, settings)
    page_size = settings.page_size
    for entry in _list_matching(bucket, parsed, endpoint, page_size, allow_empty=allow_empty):
        yield bucket_url + entry.n


def list_sizes(
    bucket: Bucket,
    url: ParsedURL,
    endpoint: str,
    page_size: int = 0,
    *,
    allow_empty: bool | None = None,
) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of every object under a prefix, in the order of the names.

    Lazy, as `list_urls`.

    Args:
        bucket: Its client sends the requests.
        url: The bucket, with the prefix or pattern as its name.
        endpoint: Address of the cluster, for the messages of errors.
        page_size: Names on a page; 0 for as many as the bucket's backend gives.
        allow_empty: See `matching`.

    Raises:
        BucketNotFoundError: The cluster has no such bucket.
        NoObjectsError: There is no object, and `allow_empty` is False.
    """
    entries = _list_matching(bucket, url, endpoint, page_size, "name,size", allow_empty=allow_empty)
    for entry in entries:
        yield entry.n, entry.s


def list_versions(
    bucket: Bucket, url: ParsedURL, endpoint: str, page_size: int = 0
) -> Iterator[tuple[str, int, str]]:
    """Yield name, bytes and checksum of every object under a prefix, in the order of the names.

    In place of a checksum that there is none of, the version; empty if there is neither.

    Args:
        bucket: Its client sends the requests.
        url: The bucket, with the prefix as its name; it is no pattern.
        endpoint: Address of the cluster, for the messages of errors.
        page_size: Names on a page; 0 for as many as the bucket's backend gives.

    Raises:
        BucketNotFoundError: The cluster has no such bucket.
    """
    for entry in _list_entries(bucket, url, endpoint, page_size, "name,size,checksum,version"):
        yield entry.n, entry.s, entry.cs or entry.v


def list_source_urls(
    source: Source,
    prefix: str = "",
    etl: ETLCall | None = None,
    *,
    allow_empty: bool | None = None,
) -> Iterator[str]:
    """Yield the full URL of every object in one of the SDK's sources.

    Args:
        source: A `Bucket`, an `ObjectGroup` or an `Object`. Its own client sends the requests.
        prefix: Only objects whose names begin so, or a pattern; applied to groups and single
            objects too, where the SDK's ``list_urls`` ignores it.
        etl: What the URLs are to ask ETLs for.
        allow_empty: See `matching`.

    Raises:
        TypeError: `source` is none of the three.
        BucketNotFoundError: The cluster has no such bucket.
        NoObjectsError: There is no object, and `allow_empty` is False.
    """
    # Not by the SDK: its `get_url` forgets pipelines, and writes arguments as Python's repr.
    query = f"&{urlencode(etl.fields())}" if etl else ""
    for item in _list_source_objects(source, prefix, allow_empty):
        yield item.get_url() + query


def _list_source_objects(source: Source, prefix: str, allow_empty: bool | None) -> Iterator[Object]:
    if isinstance(source, Bucket):
        url = url_of(source, prefix)
        for entry in _list_matching(source, url, endpoint_of(source), allow_empty=allow_empty):
            yield sdk_object(source, entry.n)
    elif isinstance(source, ObjectGroup):
        url, names = url_of(source.bck, prefix), source.list_names()
        yield from map(source.bck.object, matching_names(url, names, allow_empty=allow_empty))
    elif isinstance(source, Object):
        url = replace(parse_url(source.get_url()), name=prefix, endpoint="")
        # One that is left out is the filter's doing; no listing came out empty.
        yield from (source for _ in matching_names(url, [source.name], allow_empty=True))
    else:
        raise TypeError(
            f"cannot list a {type(source).__name__}: an AIS source is a Bucket, an ObjectGroup "
            "or an Object of the AIStore SDK"
        )


def list_members(shard: ParsedURL, endpoint: str, settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of the files in a tar, tgz, zip or lz4 object; the cluster opens it.

    In the order of the names, not in that of the archive. There is none if the cluster does not
    take the object for an archive, by its name or its first bytes.

    Raises:
        BucketNotFoundError: The cluster has no such bucket.
    """
    folder = f"{shard.name}/"
    bucket = bucket_for(shard, endpoint, settings)
    listing = PagedListing(bucket, shard, endpoint, settings.page_size, "name,size")
    for entry in listing.entries(shard.name, [ListObjectFlag.ARCH_DIR]):
        if entry.n.startswith(folder):
            yield entry.n.removeprefix(folder), entry.s


def matching_names(
    url: ParsedURL, names: Iterable[str], *, allow_empty: bool | None
) -> Iterator[str]:
    """Yield those of some names that a prefix or pattern means, which is the name in `url`."""

    def under(prefix: str) -> Iterator[str]:
        return (name for name in names if name.startswith(prefix))

    return matching(url.name, under, str, format_url(url), allow_empty=allow_empty)


def _list_matching(
    bucket: Bucket,
    url: ParsedURL,
    endpoint: str,
    page_size: int = 0,
    props: str = "name",
    *,
    allow_empty: bool | None,
) -> Iterator[BucketEntry]:
    """Yield the entries that the prefix or pattern in `url` means."""

    def under(prefix: str) -> Iterator[BucketEntry]:
        return _list_entries(bucket, replace(url, name=prefix), endpoint, page_size, props)

    return matching(url.name, under, attrgetter("n"), format_url(url), allow_empty=allow_empty)


def _list_entries(
    bucket: Bucket, url: ParsedURL, endpoint: str, page_size: int, props: str
) -> Iterator[BucketEntry]:
    """Yield the entries whose names begin with ``url.name``, in order.

    A prefix without a slash at its end is not left to AIStore: where it has a folder of that
    name it lists the folder alone and silently leaves out ``train.txt`` beside ``train/1.jpg``,
    on some disks and not on others (``_join`` in its ``fs/walk.go``). So the folder around it
    is listed, from the prefix on and no further than names begin so.
    """
    listing = PagedListing(bucket, url, endpoint, page_size, props)
    if bucket.provider is Provider.AIS:
        folder, start_after = _folder_and_start(url)
        entries = listing.entries_in_folder(folder, start_after)
    else:
        entries = listing.entries(url.name)
    for entry in entries:
        if entry.n.startswith(url.name):
            yield entry
        elif name_bytes(entry.n) > name_bytes(url.name):
            return


def _folder_and_start(url: ParsedURL) -> tuple[str, str]:
    prefix = url.name
    if prefix.endswith("/"):
        return prefix, ""
    # A remote cluster lists from its first name on only.
    is_whole = not prefix or url.uuid or not is_utf8(prefix)
    return prefix[: prefix.rfind("/") + 1], "" if is_whole else _just_before(prefix)


def _just_before(name: str) -> str:
    """Return a text that is before `name`, and after what anyone would name an object."""
    code = ord(name[-1]) - 1
    return f"{name[:-1]}{chr(0xD7FF if code == 0xDFFF else code)}\U0010ffff"  # no surrogates


def url_of(bucket: Bucket, prefix: str) -> ParsedURL:
    """Return the SDK's bucket, and a prefix in it, as a URL taken apart."""
    namespace = bucket.namespace
    return ParsedURL(
        bucket.provider.value,
        bucket.name,
        prefix,
        namespace.uuid if namespace else "",
        namespace.name if namespace else "",
    )


def endpoint_of(source: AISSource) -> str:
    """Return the address of the cluster that a source's own client talks to."""
    return source.client.base_url.removesuffix("/v1")
