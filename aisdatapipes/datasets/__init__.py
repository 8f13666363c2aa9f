"""The datasets: classes that torch's DataLoader takes, by index or by iteration."""

from aisdatapipes.datasets.batch_iterable import AISBatchIterDataset
from aisdatapipes.datasets.concat import AISConcatDataset
from aisdatapipes.datasets.iterable import AISIterDataset
from aisdatapipes.datasets.iterable_base import AISBaseIterDataset
from aisdatapipes.datasets.map import AISDataset, AISMapDataset
from aisdatapipes.datasets.map_base import AISBaseMapDataset
from aisdatapipes.datasets.mix import AISMixDataset
from aisdatapipes.datasets.multishard import AISMultiShardStream
from aisdatapipes.datasets.parallel_map import AISParallelMapDataset
from aisdatapipes.datasets.shard_map import AISShardMapDataset
from aisdatapipes.datasets.shard_reader import AISShardReader
from aisdatapipes.datasets.zero_dict import ZeroDict

__all__ = [
    "AISBaseIterDataset",
    "AISBaseMapDataset",
    "AISBatchIterDataset",
    "AISConcatDataset",
    "AISDataset",
    "AISIterDataset",
    "AISMapDataset",
    "AISMixDataset",
    "AISMultiShardStream",
    "AISParallelMapDataset",
    "AISShardMapDataset",
    "AISShardReader",
    "ZeroDict",
]
