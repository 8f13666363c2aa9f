"""The pipes: one class each, registered under torchdata's and AIStore's functional names."""

from aisdatapipes.datapipes.listers import AISFileLister, AISSourceLister
from aisdatapipes.datapipes.loader import AISFileLoader
from aisdatapipes.datapipes.registration import register

__all__ = [
    "AISFileLister",
    "AISFileListerIterDataPipe",
    "AISFileLoader",
    "AISFileLoaderIterDataPipe",
    "AISSourceLister",
]

AISFileListerIterDataPipe = AISFileLister
AISFileLoaderIterDataPipe = AISFileLoader

register(AISFileLister, "list_files_by_ais", "ais_list_files")
register(AISFileLoader, "load_files_by_ais", "ais_load_files")
register(AISSourceLister, "ais_list_sources")
