"""The pipes: one class each, registered under torchdata's and AIStore's functional names.

``IterableWrapper`` and ``Mapper`` are torch's own, here so that a chain needs no torchdata: its
releases from 0.10 on have no DataPipes.

Example:
    >>> from aisdatapipes.datapipes import AISFileLister, IterableWrapper, Mapper
    >>> urls = AISFileLister(IterableWrapper(["ais://coco/"]))
    >>> list(Mapper(urls, len))
    [27]
"""

import torch.utils.data

if not hasattr(torch.utils.data, "IterDataPipe"):
    raise ImportError(
        f"torch {torch.__version__} has no DataPipes, so aisdatapipes has none: use its datasets "
        "AISIterDataset, AISMapDataset and AISShardReader, or install an older torch"
    )

from torch.utils.data.datapipes.iter import IterableWrapper, Mapper

from aisdatapipes.datapipes.file_lister import AISFileLister, AISSourceLister
from aisdatapipes.datapipes.file_loader import AISFileLoader
from aisdatapipes.datapipes.progress import AISProgress
from aisdatapipes.datapipes.registration import TORCHDATA_HAS_PIPES, register
from aisdatapipes.datapipes.sample_decoder import AISSampleDecoder, AISSampleTuples
from aisdatapipes.datapipes.sample_lister import AISSampleLister
from aisdatapipes.datapipes.sample_loader import AISSampleLoader
from aisdatapipes.datapipes.tar_loader import AISTarLoader

__all__ = [
    "AISFileLister",
    "AISFileListerIterDataPipe",
    "AISFileLoader",
    "AISFileLoaderIterDataPipe",
    "AISProgress",
    "AISSampleDecoder",
    "AISSampleLister",
    "AISSampleLoader",
    "AISSampleTuples",
    "AISSourceLister",
    "AISTarLoader",
    "IterableWrapper",
    "Mapper",
]

AISFileListerIterDataPipe = AISFileLister
AISFileLoaderIterDataPipe = AISFileLoader

register(AISFileLister, "list_files_by_ais", "ais_list_files")
register(AISFileLoader, "load_files_by_ais", "ais_load_files")
register(AISProgress, "show_progress_by_ais")
register(AISSampleDecoder, "decode")
register(AISSampleTuples, "to_tuple")
register(AISSampleLister, "list_samples_by_ais")
register(AISSampleLoader, "load_samples_by_ais")
register(AISSourceLister, "ais_list_sources")
register(AISTarLoader, "load_from_tar_by_ais")
if not TORCHDATA_HAS_PIPES:
    register(AISTarLoader, "load_from_tar")
