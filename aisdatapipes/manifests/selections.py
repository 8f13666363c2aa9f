"""Selections: what the arguments of a dataset name, one bucket and prefix at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from aisdatapipes.client.connection import bucket_for, resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import InvalidURLError
from aisdatapipes.listing.bucket_listing import endpoint_of, list_sizes, matching_names, url_of
from aisdatapipes.listing.patterns import Pattern
from aisdatapipes.types import AISSource, Bucket, Object, ObjectGroup, Source
from aisdatapipes.urls import ParsedURL, parse_object_url, parse_url

__all__ = ["UNKNOWN_SIZE", "PrefixMap", "Selection", "select", "select_objects"]

UNKNOWN_SIZE = -1
"""Size of an object that nobody has asked the cluster about."""

PrefixMap = Mapping[Source, "str | Iterable[str] | None"]
"""Sources, to the prefix or prefixes that the names of their objects begin with; None for all."""


@dataclass(frozen=True)
class Selection:
    """Objects of one bucket: those under a prefix, or those of certain names.

    Attributes:
        url: The bucket, without endpoint, and the prefix as its name.
        cluster: Endpoint of the cluster; empty for the dataset's own.
        bucket: Whose client lists the prefix; None if there are names.
        endpoint: Address of the cluster that the listing is asked of.
        page_size: Names on a page of the listing.
        names: The names, where they are given; nothing is listed then.
        allow_empty: Whether there may be none: None warns.
    """

    url: ParsedURL
    cluster: str = ""
    bucket: Bucket | None = None
    endpoint: str = ""
    page_size: int = 0
    names: tuple[str, ...] = ()
    allow_empty: bool | None = None

    @property
    def is_prefix(self) -> bool:
        """Whether it has all objects whose names begin so, and no pattern is in question."""
        return self.bucket is not None and not Pattern.is_one(self.url.name)

    @property
    def bucket_key(self) -> tuple[str, str, str, str, str]:
        """What tells the bucket from every other one, however its URL spells the provider."""
        url = self.url
        return self.cluster, url.provider, url.uuid, url.namespace, url.bucket

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of every object; lazy, page by page.

        Raises:
            BucketNotFoundError: The cluster has no such bucket.
            NoObjectsError: There is none, and `allow_empty` is False.
        """
        allow = self.allow_empty
        if self.bucket:
            url, page_size = self.url, self.page_size
            return list_sizes(self.bucket, url, self.endpoint, page_size, allow_empty=allow)
        names = matching_names(self.url, self.names, allow_empty=allow)
        return ((name, UNKNOWN_SIZE) for name in names)

    def __str__(self) -> str:
        return f"{self.url.bucket_url}/{self.url.name}"


def select(
    urls_list: str | Iterable[str] | None,
    ais_source_list: Source | Iterable[Source] | None,
    prefix_map: PrefixMap | None,
    client_url: str | None,
    settings: Settings,
    *,
    allow_empty: bool | None = None,
) -> tuple[str, list[Selection]]:
    """Return a dataset's own endpoint, and what it selects: URLs first, then sources.

    Args:
        urls_list: ``provider://bucket[/prefix]``, or several.
        ais_source_list: Sources of the SDK, or one.
        prefix_map: Prefixes of sources; a key holds for every source equal to it.
        client_url: The endpoint; None for that of the first source, else ``$AIS_ENDPOINT``.
        settings: Time-outs, retries and page size for the URLs; sources have their own client.
        allow_empty: Whether a prefix may have no objects: None warns.

    Raises:
        InvalidURLError: A URL is none, or the full URL of one object.
        TypeError: A source is none of the three kinds.
        ValueError: Nothing is given, or a key of `prefix_map` is equal to no source.
    """
    urls = [urls_list] if isinstance(urls_list, str) else list(urls_list or ())
    is_one = isinstance(ais_source_list, (AISSource, Object))
    sources = [_found(one) for one in ([ais_source_list] if is_one else ais_source_list or ())]
    if not urls and not sources:
        raise ValueError(
            "no objects to read: give urls_list='ais://bucket/prefix' or "
            "ais_source_list=client.bucket('bucket'), or several of them in a list"
        )
    endpoint = resolve_endpoint(client_url or (sources[0].endpoint if sources else None))
    selections = [_under(url, endpoint, settings) for url in urls]
    selections += _narrowed(sources, prefix_map or {})
    clusters = ["" if one.endpoint == endpoint else one.endpoint for one in selections]
    return endpoint, [
        replace(one, cluster=cluster, allow_empty=allow_empty)
        for one, cluster in zip(selections, clusters, strict=True)
    ]


def select_objects(urls: Iterable[str]) -> Iterator[Selection]:
    """Yield a selection for every URL of an object; a full URL's cluster is kept.

    Raises:
        InvalidURLError: One is not the URL of an object.
    """
    objects = map(parse_object_url, urls)
    for bucket, group in groupby(objects, lambda url: replace(url, name="", endpoint="")):
        for cluster, members in groupby(group, attrgetter("endpoint")):
            yield Selection(bucket, cluster, names=tuple(url.name for url in members))


def _under(url: str, endpoint: str, settings: Settings) -> Selection:
    parsed = parse_url(url)
    if parsed.endpoint:
        raise InvalidURLError(
            f"cannot list {url!r}, the full URL of an object: give ais://bucket/prefix"
        )
    bucket = bucket_for(parsed, endpoint, settings)
    return Selection(parsed, "", bucket, endpoint, settings.page_size)


def _narrowed(sources: list[Selection], prefix_map: PrefixMap) -> Iterator[Selection]:
    """Yield each source once for each of its prefixes."""
    prefixes = {_identity(_found(key)): _as_prefixes(prefix_map[key]) for key in prefix_map}
    given = {_identity(source) for source in sources}
    for key in prefix_map:
        if _identity(_found(key)) not in given:
            name = f"the {type(key).__name__} {_found(key)}"
            raise ValueError(f"prefix_map has {name}, which is none of the sources")
    for source in sources:
        for prefix in prefixes.get(_identity(source), [""]):
            yield replace(source, url=replace(source.url, name=prefix))


def _found(source: Source) -> Selection:
    if isinstance(source, Bucket):
        return Selection(url_of(source, ""), bucket=source, endpoint=endpoint_of(source))
    if isinstance(source, ObjectGroup):
        names = tuple(source.list_names())
        return Selection(url_of(source.bck, ""), endpoint=endpoint_of(source), names=names)
    if isinstance(source, Object):
        url = parse_object_url(source.get_url())
        bucket = replace(url, name="", endpoint="")
        return Selection(bucket, endpoint=url.endpoint, names=(url.name,))
    raise TypeError(
        f"cannot list a {type(source).__name__}: an AIS source is a Bucket, an ObjectGroup "
        "or an Object of the AIStore SDK"
    )


def _identity(selection: Selection) -> tuple:
    """What makes two sources equal: cluster, bucket, and the names if they are given."""
    return selection.endpoint, selection.bucket_key, selection.names


def _as_prefixes(chosen: str | Iterable[str] | None) -> list[str]:
    if chosen is None:
        return [""]
    return [chosen] if isinstance(chosen, str) else list(chosen)
