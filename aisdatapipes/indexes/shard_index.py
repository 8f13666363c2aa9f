"""Shard index: which samples the shards of a dataset have, and where, found out once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cached_property
from itertools import zip_longest

from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import ShardIndexError
from aisdatapipes.indexes.building import UseOfCluster, build_file
from aisdatapipes.indexes.index_file import INDEX, IndexFile
from aisdatapipes.indexes.sample_table import SampleTable
from aisdatapipes.indexes.versions import check_versions
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.manifests.packed_file import save_file
from aisdatapipes.processes.shared_file import SharedFile
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy, OnError

__all__ = ["ShardIndex"]


class ShardIndex(SampleTable):
    """The samples of tar shards, in order: a read-only sequence of `SampleEntry`.

    The keys and 28 bytes for each sample lie in one temporary file without a name, which is
    mapped into memory. Copies and the processes that multiprocessing starts share it; it goes
    with the last of them. To keep an index, `save` it.

    It is of the shards as they were: `check` compares sizes and checksums with those that the
    cluster has now.

    Make one by `build` or `load`.

    Args:
        data: The bytes of an index's file.
        endpoint: Address of the cluster; empty if unknown.
        clusters: Endpoints, beside this one, that full URLs in it may lead to.

    Attributes:
        manifest: The shards.

    Example:
        >>> index = ShardIndex.build("ais://coco/train-")
        >>> len(index), index[0].key, index[0].extensions
        (1, '0001', ('jpg', 'cls'))
    """

    def __init__(self, data: bytes, endpoint: str = "", clusters: Iterable[str] = ()) -> None:
        file = IndexFile(SharedFile(data))
        super().__init__(file, Manifest(file.manifest(), endpoint, clusters))

    @classmethod
    def build(
        cls,
        urls_list: str | Iterable[str] | None = None,
        *,
        manifest: Manifest | None = None,
        client_url: str | None = None,
        settings: Settings | None = None,
        on_error: OnError = "raise",
        cluster_index: UseOfCluster = "build",
        show_progress: bool = False,
    ) -> ShardIndex:
        """Find the samples of shards. In a job of several ranks, one does it for all of them.

        Args:
            urls_list: ``provider://bucket[/prefix]``, or several; see `Manifest.build`.
            manifest: The shards, in its place.
            client_url: Address of the cluster; default the manifest's, or ``$AIS_ENDPOINT``.
            settings: Time-outs and retries.
            on_error: What to do with a shard that is gone, cut, damaged or compressed:
                ``"raise"``; or ``"skip"``, so that the index has what is before the fault.
            cluster_index: AIStore 5 has an index of its own: ``"build"`` lets the cluster make it
                where there is none, by its job ``index-shard``, and reads it; ``"read"`` reads
                what is there; ``"off"`` scans every shard. What the cluster does not know for
                certain, or may not tell, is scanned in any case.
            show_progress: Show a tqdm bar, of shards.

        Raises:
            ValueError: Neither URLs nor a manifest are given, or both.
            BadArchiveError: A shard is no plain tar, or two members of a sample have the same
                extension.
            CutArchiveError: A shard ends before the end mark of a tar.
            ObjectNotFoundError: There is no such shard.
            AISPipeError: The cluster cannot be asked.
        """
        settings = settings or Settings()
        if (manifest is None) == (urls_list is None):
            raise ValueError("give either urls_list or a manifest, of the shards to index")
        if manifest is None:
            manifest = Manifest.build(urls_list, client_url=client_url, settings=settings)
        endpoint = resolve_endpoint(client_url or manifest.endpoint)
        reader = ObjectReader(
            endpoint,
            clusters=manifest.clusters,
            policy=ErrorPolicy(on_error),
            settings=settings,
        )
        return cls.of(manifest, reader, cluster_index, show_progress=show_progress)

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        reader: ObjectReader,
        cluster_index: UseOfCluster = "build",
        *,
        show_progress: bool = False,
    ) -> ShardIndex:
        """Do what `build` does, with a reader that says how shards are requested, and counts."""
        data = build_file(manifest, reader, cluster_index, show_progress=show_progress)
        return cls(data, reader.endpoint, manifest.clusters)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ShardIndex:
        """Read what `save` wrote.

        Raises:
            ShardIndexError: The file is no index, is cut, or was changed.
            FileNotFoundError: There is no such file.
        """
        return cls(INDEX.read(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a file, at once or not at all; only this user can read it.

        Example:
            >>> import tempfile
            >>> index = ShardIndex.build("ais://coco/train-")
            >>> path = os.path.join(tempfile.mkdtemp(), "coco.index")
            >>> index.save(path)
            >>> ShardIndex.load(path).fingerprint == index.fingerprint
            True
        """
        save_file(path, self.data)

    def check(self, client_url: str | None = None, settings: Settings | None = None) -> None:
        """Make sure that the shards are those that were indexed, by a listing of the cluster.

        In a bucket that keeps no checksums, another shard of the same size is not noticed.

        Args:
            client_url: Address of the cluster; default that of `build`, or ``$AIS_ENDPOINT``.
            settings: Time-outs and retries.

        Raises:
            ObjectChangedError: A shard was replaced or is gone.
            AISPipeError: The cluster cannot be asked.
        """
        endpoint = resolve_endpoint(client_url or self.manifest.endpoint)
        clusters = self.manifest.clusters
        self.check_by(ObjectReader(endpoint, clusters=clusters, settings=settings))

    def check_by(self, reader: ObjectReader) -> None:
        """Do what `check` does, with a reader that says how shards are requested."""
        requests = list(map(reader.request_for, self.manifest.urls()))
        check_versions(requests, self.versions, f"versions {self.fingerprint}")

    def check_shards(self, manifest: Manifest) -> None:
        """Make sure that it is of the shards of a manifest, in their order.

        Raises:
            ShardIndexError: It is not.
        """
        if self.manifest.fingerprint == manifest.fingerprint:
            return
        for own, other in zip_longest(self.manifest.urls(), manifest.urls()):
            if own != other:
                raise ShardIndexError(
                    f"the index has {own or 'no more shard'} where {other or 'no more'} is to be "
                    "read: build it of the shards that are read, or give the index alone"
                )

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of shards and samples, in order; the endpoint is not in it."""
        both = f"{self.manifest.fingerprint} {self._file.fingerprint}"
        return hashlib.blake2b(both.encode(), digest_size=16).hexdigest()

    def __repr__(self) -> str:
        return f"<ShardIndex of {len(self)} samples in {len(self.manifest)} shards>"
