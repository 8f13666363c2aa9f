"""torchdata DataPipes for NVIDIA AIStore: list and load buckets, objects and tar shards.

Importing the package registers the functional names, so that every pipe has them:
``list_files_by_ais``, ``load_files_by_ais``, ``load_samples_by_ais``, ``ais_list_sources`` and
their older spellings.

Example:
    >>> from torchdata.datapipes.iter import IterableWrapper
    >>> import aisdatapipes
    >>> pipe = IterableWrapper(["ais://caltech256/"]).list_files_by_ais().load_files_by_ais()
    >>> sum(1 for url, stream in pipe)
    5
"""

from importlib.metadata import version

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
    AISSampleLoader,
    AISSampleTuples,
    AISSourceLister,
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
    AISShardReader,
    ZeroDict,
)
from aisdatapipes.distributed.sharding import Sharding
from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.manifests.object_name import ObjectName
from aisdatapipes.metrics.counters import Counters
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.samplers import DynamicBatchSampler

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
    "AISSampleLoader",
    "AISSampleTuples",
    "AISShardReader",
    "AISSourceLister",
    "Counters",
    "DynamicBatchSampler",
    "Manifest",
    "ManifestEntry",
    "ObjectName",
    "ReadOptions",
    "Settings",
    "Sharding",
    "WorkerRequestClient",
    "ZeroDict",
    "errors",
    "merge_states",
]
__version__ = version("aisdatapipes")
