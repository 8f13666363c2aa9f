"""torchdata DataPipes for NVIDIA AIStore: list and load buckets, objects and tar shards.

Importing the package gives every pipe the functional names, be torch imported before or after:
``list_files_by_ais``, ``load_files_by_ais``, ``list_samples_by_ais``, ``load_samples_by_ais``,
``load_from_tar_by_ais``, ``ais_list_sources`` and their older spellings. Torch itself is imported
with the first name that needs it.

Example:
    >>> import aisdatapipes
    >>> from aisdatapipes.datapipes import IterableWrapper
    >>> pipe = IterableWrapper(["ais://caltech256/"]).list_files_by_ais().load_files_by_ais()
    >>> sum(1 for url, stream in pipe)
    5
"""

import importlib
import warnings
from typing import TYPE_CHECKING

from aisdatapipes.stand_ins import register_stand_ins

if TYPE_CHECKING:
    from aisdatapipes import errors
    from aisdatapipes.checkpoint.merging import merge_states
    from aisdatapipes.client.settings import Settings
    from aisdatapipes.client.worker_client import WorkerRequestClient
    from aisdatapipes.datapipes import (
        AISFileLister,
        AISFileListerIterDataPipe,
        AISFileLoader,
        AISFileLoaderIterDataPipe,
        AISProgress,
        AISSampleDecoder,
        AISSampleLister,
        AISSampleLoader,
        AISSampleTuples,
        AISSourceLister,
        AISTarLoader,
    )
    from aisdatapipes.datasets import (
        AISBaseIterDataset,
        AISBaseMapDataset,
        AISBatchIterDataset,
        AISConcatDataset,
        AISDataset,
        AISIterDataset,
        AISMapDataset,
        AISMixDataset,
        AISMultiShardStream,
        AISParallelMapDataset,
        AISShardMapDataset,
        AISShardReader,
        ZeroDict,
    )
    from aisdatapipes.distributed.sharding import Sharding
    from aisdatapipes.indexes.sample_entry import SampleEntry
    from aisdatapipes.indexes.shard_index import ShardIndex
    from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
    from aisdatapipes.manifests.object_name import ObjectName
    from aisdatapipes.metrics.counters import Counters
    from aisdatapipes.reading.options import ReadOptions
    from aisdatapipes.samplers import DynamicBatchSampler, ShardBlockSampler

    __version__: str

__all__ = [
    "AISBaseIterDataset",
    "AISBaseMapDataset",
    "AISBatchIterDataset",
    "AISConcatDataset",
    "AISDataset",
    "AISFileLister",
    "AISFileListerIterDataPipe",
    "AISFileLoader",
    "AISFileLoaderIterDataPipe",
    "AISIterDataset",
    "AISMapDataset",
    "AISMixDataset",
    "AISMultiShardStream",
    "AISParallelMapDataset",
    "AISProgress",
    "AISSampleDecoder",
    "AISSampleLister",
    "AISSampleLoader",
    "AISSampleTuples",
    "AISShardMapDataset",
    "AISShardReader",
    "AISSourceLister",
    "AISTarLoader",
    "Counters",
    "DynamicBatchSampler",
    "Manifest",
    "ManifestEntry",
    "ObjectName",
    "ReadOptions",
    "SampleEntry",
    "Settings",
    "ShardBlockSampler",
    "ShardIndex",
    "Sharding",
    "WorkerRequestClient",
    "ZeroDict",
    "errors",
    "merge_states",
]

_DATASETS = "datasets"
_PIPES = "datapipes"
_ROOM_OF = {
    "AISBaseIterDataset": _DATASETS,
    "AISBaseMapDataset": _DATASETS,
    "AISBatchIterDataset": _DATASETS,
    "AISConcatDataset": _DATASETS,
    "AISDataset": _DATASETS,
    "AISFileLister": _PIPES,
    "AISFileListerIterDataPipe": _PIPES,
    "AISFileLoader": _PIPES,
    "AISFileLoaderIterDataPipe": _PIPES,
    "AISIterDataset": _DATASETS,
    "AISMapDataset": _DATASETS,
    "AISMixDataset": _DATASETS,
    "AISMultiShardStream": _DATASETS,
    "AISParallelMapDataset": _DATASETS,
    "AISProgress": _PIPES,
    "AISSampleDecoder": _PIPES,
    "AISSampleLister": _PIPES,
    "AISSampleLoader": _PIPES,
    "AISSampleTuples": _PIPES,
    "AISShardMapDataset": _DATASETS,
    "AISShardReader": _DATASETS,
    "AISSourceLister": _PIPES,
    "AISTarLoader": _PIPES,
    "Counters": "metrics.counters",
    "DynamicBatchSampler": "samplers",
    "Manifest": "manifests.manifest",
    "ManifestEntry": "manifests.manifest",
    "ObjectName": "manifests.object_name",
    "ReadOptions": "reading.options",
    "SampleEntry": "indexes.sample_entry",
    "Settings": "client.settings",
    "ShardBlockSampler": "samplers",
    "ShardIndex": "indexes.shard_index",
    "Sharding": "distributed.sharding",
    "WorkerRequestClient": "client.worker_client",
    "ZeroDict": _DATASETS,
    "merge_states": "checkpoint.merging",
}
"""Where each public name is; what is asked for is imported then."""

_ROOMS = {
    *("checkpoint", "client", "datapipes", "datasets", "distributed", "errors", "filesystem"),
    *("indexes", "listing", "manifests", "metrics", "reading", "samplers", "types", "urls"),
}
"""What is there as an attribute without an import of its own."""

register_stand_ins()

# Torch warns once, at its import or at the first tensor, that there is no NumPy: nothing here needs
# it.
warnings.filterwarnings("ignore", "Failed to initialize NumPy", UserWarning)
# torchdata's StatefulDataLoader, the latest release too, calls what torch 2.13 has deprecated: it
# does nothing there. Users who turn warnings into errors could not make such a loader.
warnings.filterwarnings(
    "ignore", "'set_vital' is deprecated", UserWarning, r"torchdata\.stateful_dataloader"
)


if not TYPE_CHECKING:  # which would then take any name for one of this package

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name == "__version__":
            value = importlib.import_module("importlib.metadata").version(__name__)
        elif name in _ROOMS:
            value = importlib.import_module(f"{__name__}.{name}")
        elif name in _ROOM_OF:
            value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, value)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__, "__version__"})
