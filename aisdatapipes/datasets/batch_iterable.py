"""The iterable dataset of AIStore's GetBatch, under the name and arguments that AIStore gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aisdatapipes.datasets.iterable import AISIterDataset
from aisdatapipes.datasets.sources import PrefixMap, SourceKeywords, Sources, settings_like
from aisdatapipes.distributed.sharding import ShardingKeywords
from aisdatapipes.listing.bucket_listing import endpoint_of
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.reading.options import ReadAheadKeywords
from aisdatapipes.types import Client, Colocation

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISBatchIterDataset"]


class BatchKeywords(SourceKeywords, ShardingKeywords, ReadAheadKeywords, total=False):
    """What the dataset takes beside what its signature names."""

    etl_name: str | None
    urls_list: str | Iterable[str] | None
    manifest: Manifest | None
    transform: Callable[[Any], Any] | None
    shuffle: bool
    seed: int


class AISBatchIterDataset(AISIterDataset):
    """`AISIterDataset` with the parameters of AIStore's own dataset for GetBatch.

    `AISIterDataset` reads by GetBatch too; this one is for code that is there. What is not named
    here is as in `AISBaseIterDataset`, state, ranks and workers among it.

    Args:
        ais_source_list: See `AISBaseIterDataset`.
        client: Whose address, token and TLS to use; default those of the sources.
        prefix_map: See `AISBaseIterDataset`.
        show_progress: Show a tqdm bar, one for each worker.
        max_batch_size: Most objects in one request; default as many as memory is planned for.
        output_format: Changes nothing: the answer is read as a tar, and not kept.
        streaming: Changes nothing: the answer is always read while it comes.
        colocation: Hint that the objects of a request lie on few targets.
        partition_sources_by_worker: Changes nothing: sources are listed once, not by workers.
        cont_on_err: Whether to skip objects that cannot be read, as ``on_error="skip"`` does; its
            default raises. An `on_error` goes before.
        options: See `AISBaseIterDataset`.

    Raises:
        NotImplementedError: `colocation` is ``TARGET_AND_SHARD_AWARE``, which AIStore does not
            have yet.

    Example:
        >>> import os
        >>> from aistore.sdk import Client
        >>> client = Client(os.environ["AIS_ENDPOINT"])
        >>> dataset = AISBatchIterDataset(client.bucket("caltech256"), client, max_batch_size=2)
        >>> sum(1 for name, content in dataset)
        5

    Source:
        ``AISBatchIterDataset`` of AIStore's ``aistore.pytorch``.
    """

    def __init__(
        self,
        ais_source_list: Sources = None,
        client: Client | None = None,
        prefix_map: PrefixMap | None = None,
        show_progress: bool = False,
        max_batch_size: int | None = None,
        output_format: str = ".tar",  # noqa: ARG002
        streaming: bool = True,  # noqa: ARG002
        colocation: Colocation = Colocation.NONE,
        partition_sources_by_worker: bool = False,
        cont_on_err: bool = False,
        **options: Unpack[BatchKeywords],
    ) -> None:
        options.setdefault("on_error", "skip" if cont_on_err else "raise")
        if client is not None:
            witness = client.bucket("any")  # whose client can be asked
            endpoint = options.setdefault("client_url", endpoint_of(witness))
            own = settings_like([witness], endpoint or "", options.get("settings"))
            options["settings"] = own
        if max_batch_size is not None:
            options["max_batch"] = max_batch_size
        super().__init__(
            ais_source_list,
            prefix_map,
            show_progress=show_progress,
            colocation=colocation,
            partition_sources_by_worker=partition_sources_by_worker,
            **options,
        )
