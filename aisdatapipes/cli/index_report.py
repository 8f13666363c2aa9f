"""Index report: the index of shards, how it was found, and which shards have none."""

from __future__ import annotations

from dataclasses import dataclass, field

from aisdatapipes.cli.progress import Progress
from aisdatapipes.client.connection import resolve_endpoint
from aisdatapipes.errors import AISPipeError
from aisdatapipes.indexes.building import IndexBuilder
from aisdatapipes.indexes.shard_index import ShardIndex
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.reading.options import ErrorPolicy

__all__ = ["IndexReport", "index_shards"]


@dataclass
class IndexReport:
    """What was found.

    Attributes:
        shards: All of them.
        samples: In all shards.
        bytes: Of all shards.
        extensions: That samples have.
        by_cluster: Shards whose samples AIStore's own index told.
        by_scan: Shards whose headers were read.
        problems: Shards that cannot be indexed as a whole, and why.
    """

    shards: int = 0
    samples: int = 0
    bytes: int = 0
    extensions: list[str] = field(default_factory=list)
    by_cluster: int = 0
    by_scan: int = 0
    problems: list[str] = field(default_factory=list)


def index_shards(url: str, endpoint: str | None) -> tuple[IndexReport, ShardIndex]:
    """Find the samples of shards; of a bad one those that are before the fault.

    Args:
        url: Prefix or pattern of their names.
        endpoint: Address of the cluster.

    Raises:
        NoObjectsError: There are no shards.
        AISPipeError: The cluster cannot be asked.
    """
    report = IndexReport()

    def note(_: str, error: AISPipeError) -> None:
        report.problems.append(error.message)

    manifest = Manifest.build(url, client_url=endpoint, allow_empty=False)
    reader = ObjectReader(resolve_endpoint(endpoint), policy=ErrorPolicy(note))
    builder = IndexBuilder.of(manifest, reader)
    with Progress(sum(manifest.sizes)) as progress:
        progress.set_size(len(manifest))
        for size in builder.shards():
            progress.relative_update(1)
            progress.add(size)
    index = ShardIndex(builder.pack(manifest.data), reader.endpoint)
    report.shards, report.samples, report.bytes = len(manifest), len(index), sum(manifest.sizes)
    report.by_scan, report.by_cluster = builder.scanned, len(manifest) - builder.scanned
    report.extensions = list(index.extensions)
    return report, index
