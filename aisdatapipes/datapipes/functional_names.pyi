from typing import Any

from typing_extensions import Unpack

from aisdatapipes.client.settings import Settings
from aisdatapipes.datapipes.file_lister import AISFileLister
from aisdatapipes.datapipes.file_loader import AISFileLoader, LoadKeywords
from aisdatapipes.datapipes.progress import AISProgress
from aisdatapipes.datapipes.sample_lister import AISSampleLister
from aisdatapipes.datapipes.sample_loader import AISSampleLoader
from aisdatapipes.datapipes.tar_loader import AISTarLoader
from aisdatapipes.indexes.building import UseOfCluster
from aisdatapipes.reading.options import OnError
from aisdatapipes.types import ETLConfig

class FunctionalNames:
    def list_files_by_ais(
        self,
        url: str | None = None,
        length: int = -1,
        *,
        settings: Settings | None = None,
        allow_empty: bool | None = None,
    ) -> AISFileLister: ...
    def load_files_by_ais(
        self,
        url: str | None = None,
        length: int = -1,
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        settings: Settings | None = None,
        **read: Unpack[LoadKeywords],
    ) -> AISFileLoader: ...
    def list_samples_by_ais(
        self,
        url: str | None = None,
        length: int = -1,
        *,
        on_error: OnError = "raise",
        cluster_index: UseOfCluster = "build",
        settings: Settings | None = None,
    ) -> AISSampleLister: ...
    def load_samples_by_ais(
        self,
        url: str | None = None,
        length: int = -1,
        etl_name: str | None = None,
        *,
        etl: ETLConfig | None = None,
        on_error: OnError = "raise",
        max_errors: int | None = None,
        settings: Settings | None = None,
    ) -> AISSampleLoader: ...
    def show_progress_by_ais(
        self, description: str = "", total: int | None = None
    ) -> AISProgress[Any]: ...
    def load_from_tar_by_ais(
        self, mode: str = "r:*", length: int = -1, *, settings: Settings | None = None
    ) -> AISTarLoader: ...
    ais_list_files = list_files_by_ais
    ais_load_files = load_files_by_ais
