"""Manifest: which objects a dataset has, listed once and shared by all its processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import index as as_index
from typing import Any, NamedTuple

from aisdatapipes.client.settings import Settings
from aisdatapipes.distributed.rank_sharing import share_between_ranks
from aisdatapipes.manifests.file import MANIFEST, BucketReference, ManifestFile
from aisdatapipes.manifests.gathering import ENCODING, gather
from aisdatapipes.manifests.packed_file import save_file
from aisdatapipes.manifests.selections import PrefixMap, Selection, select, select_objects
from aisdatapipes.processes.shared_file import SharedFile
from aisdatapipes.types import Source
from aisdatapipes.urls import ParsedURL, format_url, parse_object_url, parse_url

__all__ = ["Manifest", "ManifestEntry"]


class ManifestEntry(NamedTuple):
    """An object of a `Manifest`.

    Attributes:
        url: ``provider://bucket/name``, or a full URL where it is on another cluster.
        name: Its name in the bucket.
        size: Its bytes when it was listed; -1 where nothing was.

    Example:
        >>> ManifestEntry("ais://photos/cats/1.jpg", "cats/1.jpg", 40).bucket
        'ais://photos'
    """

    url: str
    name: str
    size: int

    @property
    def bucket(self) -> str:
        """URL of its bucket, ``provider://bucket``."""
        return parse_object_url(self.url).bucket_url


class Manifest:
    """The objects of a dataset, in order: a read-only sequence of `ManifestEntry`.

    The names and 20 bytes for each object lie in one temporary file without a name, which is
    mapped into memory. Copies and the processes that multiprocessing starts share it; it goes
    with the last of them. A pickle for another job or machine carries the content; to keep a
    manifest, `save` it, as a pickle runs whatever is in it.

    Make one by `build`, `from_urls` or `load`.

    Args:
        data: The bytes of a manifest's file.
        endpoint: Address of the cluster it was listed at; empty if unknown.
        clusters: Endpoints, beside this one, that full URLs in it may lead to.

    Attributes:
        endpoint: As given; empty for a manifest that was loaded.
        clusters: As given; empty for a manifest that was loaded, because a file must not decide
            where requests, and with them tokens, go.

    Example:
        >>> manifest = Manifest.build("ais://caltech256/")
        >>> len(manifest)
        5
        >>> manifest[0]
        ManifestEntry(url='ais://caltech256/002.american-flag/002_0001.jpg', name=..., size=40)
    """

    def __init__(self, data: bytes, endpoint: str = "", clusters: Iterable[str] = ()) -> None:
        self.endpoint = endpoint
        self.clusters = tuple(clusters)
        self._use(ManifestFile(SharedFile(data)))

    @classmethod
    def build(
        cls,
        urls_list: str | Iterable[str] | None = None,
        ais_source_list: Source | Iterable[Source] | None = None,
        prefix_map: PrefixMap | None = None,
        *,
        client_url: str | None = None,
        settings: Settings | None = None,
        allow_empty: bool | None = None,
    ) -> Manifest:
        """List what is under URLs and in sources, in this order, each object once.

        The listing is done now. In a job of several ranks, one lists for all of them.

        Args:
            urls_list: Prefix ``provider://bucket[/prefix]``, or several. Where no name begins so,
                it is a pattern: ``train-{0000..0099}.tar`` has the names of objects, if there is
                one of them, else prefixes; a glob has ``*``, ``?``, ``[a-f]``, which stop at a
                slash, or ``**``, and is compared with whole names.
            ais_source_list: `Bucket`, `ObjectGroup` or `Object` of the SDK, or several; their
                own clients ask.
            prefix_map: Sources, to the prefix or prefixes that names begin with; None for all.
                It holds for every equal source, be it the same Python object or not. Prefixes may
                be patterns.
            client_url: Address of the cluster; default that of the first source, if there is
                one, or ``$AIS_ENDPOINT``.
            settings: Time-outs, retries and page size of the listing of `urls_list`.
            allow_empty: Whether a prefix, or a member of a pattern, may have no object: False
                raises, None warns, with a `NoObjectsWarning`, in the rank that lists.

        Raises:
            ValueError: Neither URLs nor sources are given, or `prefix_map` has a key that is
                equal to no source.
            TypeError: A source is none of the three kinds.
            InvalidURLError: A URL is not that of a bucket or prefix.
            BucketNotFoundError: A cluster has no such bucket.
            NoObjectsError: A prefix has no object, and `allow_empty` is False.
            ClusterUnreachableError: Nothing answers at an endpoint.

        Example:
            >>> Manifest.build("ais://caltech256/00{2,4}.*/*.jpg").names()[1:]
            ['002.american-flag/002_0002.jpg', '004.baseball-bat/004_0001.jpg']
        """
        settings = settings or Settings()
        endpoint, selections = select(
            urls_list, ais_source_list, prefix_map, client_url, settings, allow_empty=allow_empty
        )
        return cls._of(selections, endpoint)

    @classmethod
    def from_urls(cls, urls: Iterable[str]) -> Manifest:
        """Take objects by their own URLs, each once, in this order; sends no request.

        Args:
            urls: ``provider://bucket/name``, or full URLs of the dataset's own cluster.

        Raises:
            InvalidURLError: One is not the URL of an object.

        Example:
            >>> list(Manifest.from_urls(["ais://photos/1.jpg"]))
            [ManifestEntry(url='ais://photos/1.jpg', name='1.jpg', size=-1)]
        """
        return cls(gather(list(select_objects(urls))))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Manifest:
        """Read what `save` wrote.

        Raises:
            ManifestError: The file is no manifest, is cut, or was changed.
            FileNotFoundError: There is no such file.
        """
        return cls(MANIFEST.read(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the manifest to a file, at once or not at all; only this user can read it.

        The file holds URLs of buckets, names and sizes; no token and no key.

        Example:
            >>> import tempfile
            >>> manifest = Manifest.from_urls(["ais://photos/1.jpg"])
            >>> path = os.path.join(tempfile.mkdtemp(), "photos.manifest")
            >>> manifest.save(path)
            >>> Manifest.load(path).fingerprint == manifest.fingerprint
            True
        """
        save_file(path, self.data)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal digest of buckets, names and sizes, in order; the endpoint is not in it."""
        return self._file.fingerprint

    @property
    def data(self) -> memoryview:
        """The bytes of its file, not copied."""
        return self._file.data

    @property
    def sizes(self) -> memoryview:
        """Bytes of each object, -1 where unknown: 64-bit numbers, not copied."""
        return self._file.sizes

    def names(self, positions: Iterable[int] | None = None) -> list[str]:
        """Return the names at some positions, counted from 0; all of them by default."""
        chosen = range(len(self)) if positions is None else positions
        return [self._name(position) for position in chosen]

    def urls(self, positions: Iterable[int] | None = None) -> list[str]:
        """Return the URLs at some positions, counted from 0; all of them by default."""
        chosen = range(len(self)) if positions is None else positions
        return [self._url(position, self._name(position)) for position in chosen]

    def __len__(self) -> int:
        return len(self._file.sizes)

    def __getitem__(self, index: int) -> ManifestEntry:
        position = as_index(index)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"no object {index}: the manifest has {len(self)}")
        name = self._name(position)
        return ManifestEntry(self._url(position, name), name, self._file.sizes[position])

    def __iter__(self) -> Iterator[ManifestEntry]:
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        urls = ", ".join(bucket.bucket_url for bucket in self._file.buckets)
        return f"<Manifest of {len(self)} objects in {urls or 'no bucket'}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self._file, "endpoint": self.endpoint, "clusters": self.clusters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.endpoint, self.clusters = state["endpoint"], state["clusters"]
        self._use(state["file"])

    @classmethod
    def _of(cls, selections: list[Selection], endpoint: str) -> Manifest:
        clusters = dict.fromkeys(one.cluster for one in selections if one.cluster)
        what = repr([(one.bucket_key, one.url.name, one.names) for one in selections]).encode()
        key = f"manifest {hashlib.blake2b(what, digest_size=16).hexdigest()}"
        data = share_between_ranks(key, lambda: gather(selections))
        return cls(data, endpoint, clusters)

    def _use(self, file: ManifestFile) -> None:
        self._file = file
        self._prefixes = [_prefix_of(bucket) for bucket in file.buckets]

    def _name(self, position: int) -> str:
        ends = self._file.ends
        start = ends[position - 1] if position else 0
        return str(self._file.names[start : ends[position]], *ENCODING)

    def _url(self, position: int, name: str) -> str:
        prefix = self._prefixes[self._file.bucket_numbers[position]]
        if isinstance(prefix, str):
            return prefix + name
        return format_url(replace(prefix, name=name))


def _prefix_of(bucket: BucketReference) -> str | ParsedURL:
    """Return what comes before the names in the URLs of a bucket, or the parts of full URLs."""
    if not bucket.cluster:
        return f"{bucket.bucket_url}/"
    return replace(parse_url(bucket.bucket_url), endpoint=bucket.cluster)
