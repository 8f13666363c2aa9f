"""torchdata DataPipes for NVIDIA AIStore: list and load buckets, objects and tar shards.

Importing the package registers the functional names, so that every pipe has them:
``list_files_by_ais``, ``load_files_by_ais``, ``list_samples_by_ais``, ``load_samples_by_ais``,
``load_from_tar_by_ais``, ``ais_list_sources`` and their older spellings.

Example:
    >>> import aisdatapipes
    >>> from aisdatapipes.datapipes import IterableWrapper
    >>> pipe = IterableWrapper(["ais://caltech256/"]).list_files_by_ais().load_files_by_ais()
    >>> sum(1 for url, stream in pipe)
    5
"""

import importlib
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

with warnings.catch_warnings():
    # Torch warns once, at its import or at the first tensor, that there is no NumPy: nothing here
    # needs it.
    warnings.filterwarnings("ignore", "Failed to initialize NumPy", UserWarning)
    import torch.utils.data

    torch.tensor(0)

from aisdatapipes import errors
from aisdatapipes.checkpoint.merging import merge_states
from aisdatapipes.client.settings import Settings
from aisdatapipes.client.worker_client import WorkerRequestClient
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

_HAS_PIPES = hasattr(torch.utils.data, "IterDataPipe")
if TYPE_CHECKING or _HAS_PIPES:
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
__version__ = version("aisdatapipes")

# torchdata's StatefulDataLoader, the latest release too, calls what torch 2.13 has deprecated: it
# does nothing there. Users who turn warnings into errors could not make such a loader.
warnings.filterwarnings(
    "ignore", "'set_vital' is deprecated", UserWarning, r"torchdata\.stateful_dataloader"
)


def __getattr__(name: str) -> object:
    """Raise for a pipe that cannot be had, where torch has none, and say what to use instead."""
    if name in __all__ and not _HAS_PIPES:
        return getattr(importlib.import_module("aisdatapipes.datapipes"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
