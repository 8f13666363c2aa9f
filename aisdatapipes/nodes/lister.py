"""Lister: the URLs of objects, each rank its slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aisdatapipes.checkpoint.epochs import Epochs
from aisdatapipes.checkpoint.progress import Progress
from aisdatapipes.checkpoint.state import RunIdentity
from aisdatapipes.client.settings import Settings
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.distributed.sharding import Sharding, ShardingKeywords
from aisdatapipes.keywords import refuse_unknown
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.nodes.dataset_node import DatasetNode

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISLister"]


class AISLister(DatasetNode):
    """URLs of objects, which are listed once, when the node is made; each rank has its slice.

    Every pass is an epoch of its own, with `shuffle` in an order of its own.

    Args:
        urls_list: ``provider://bucket[/prefix]``, or several.
        manifest: The objects, in place of URLs.
        client_url: Address of the cluster; default ``$AIS_ENDPOINT``.
        settings: Time-outs, retries and page size of the listing.
        shuffle: Give every epoch a random order.
        seed: Of these orders; the same in all ranks.
        sharding: The fields of `Sharding`, or ``sharding=Sharding(...)``: how ranks share the URLs.

    Raises:
        ValueError: Neither URLs nor a manifest are given, or both.
        TypeError: An option is not known.
        BucketNotFoundError: The cluster has no such bucket.
        ClusterUnreachableError: Nothing answers at the endpoint.

    Example:
        >>> from torchdata.nodes import Loader
        >>> list(Loader(AISLister("ais://caltech256/003.")))[0]
        'ais://caltech256/003.backpack/003_0001.jpg'
    """

    def __init__(
        self,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        *,
        client_url: str | None = None,
        settings: Settings | None = None,
        shuffle: bool = False,
        seed: int = 0,
        **sharding: Unpack[ShardingKeywords],
    ) -> None:
        refuse_unknown(type(self).__name__, sharding, ShardingKeywords)
        if (manifest is None) == (urls_list is None):
            raise ValueError("give either urls_list= or manifest=, which says what there is")
        if manifest is None:
            manifest = Manifest.build(urls_list, client_url=client_url, settings=settings)
        self.manifest = manifest
        super().__init__(_URLs(manifest, Sharding.of(sharding), seed, shuffle=shuffle))

    def next(self) -> str:
        """Return the next URL."""
        return super().next()


class _URLs(ResumableDataset):
    """The URLs of a manifest: nothing is read."""

    def __init__(self, manifest: Manifest, sharding: Sharding, seed: int, *, shuffle: bool) -> None:
        self._manifest = manifest
        identity = RunIdentity("AISLister", manifest.fingerprint, seed, shuffle)
        epochs = Epochs(identity, len(manifest), sharding)
        super().__init__(epochs, SharedCounters(), None, show_progress=False)

    def _samples(self, progress: Progress) -> Iterator[str]:
        for consumed, position in enumerate(progress.left(), progress.consumed + 1):
            progress.consumed = consumed
            yield self._manifest[position].url

    def _bytes_in(self, sample: str) -> int:
        return len(sample)
