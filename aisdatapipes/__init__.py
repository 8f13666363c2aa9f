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
from aisdatapipes.counters import Counters
from aisdatapipes.datapipes import (
    AISFileLister,
    AISFileListerIterDataPipe,
    AISFileLoader,
    AISFileLoaderIterDataPipe,
    AISProgress,
    AISSampleLoader,
    AISSourceLister,
)
from aisdatapipes.settings import Settings

__all__ = [
    "AISFileLister",
    "AISFileListerIterDataPipe",
    "AISFileLoader",
    "AISFileLoaderIterDataPipe",
    "AISProgress",
    "AISSampleLoader",
    "AISSourceLister",
    "Counters",
    "Settings",
    "errors",
]
__version__ = version("aisdatapipes")
