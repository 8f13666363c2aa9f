"""The pipes: one class each, registered under torchdata's and AIStore's functional names."""

from aisdatapipes.datapipes.file_lister import AISFileLister, AISSourceLister
from aisdatapipes.datapipes.file_loader import AISFileLoader
from aisdatapipes.datapipes.progress import AISProgress
from aisdatapipes.datapipes.registration import register
from aisdatapipes.datapipes.sample_decoder import AISSampleDecoder, AISSampleTuples
from aisdatapipes.datapipes.sample_loader import AISSampleLoader

__all__ = [
    "AISFileLister",
    "AISFileListerIterDataPipe",
    "AISFileLoader",
    "AISFileLoaderIterDataPipe",
    "AISProgress",
    "AISSampleDecoder",
    "AISSampleLoader",
    "AISSampleTuples",
    "AISSourceLister",
]

AISFileListerIterDataPipe = AISFileLister
AISFileLoaderIterDataPipe = AISFileLoader

register(AISFileLister, "list_files_by_ais", "ais_list_files")
register(AISFileLoader, "load_files_by_ais", "ais_load_files")
register(AISProgress, "show_progress_by_ais")
register(AISSampleDecoder, "decode")
register(AISSampleTuples, "to_tuple")
register(AISSampleLoader, "load_samples_by_ais")
register(AISSourceLister, "ais_list_sources")
