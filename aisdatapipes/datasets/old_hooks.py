"""Old hooks: what subclasses of AIStore's own base classes call, by what ours has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, overload

from torch.utils.data import get_worker_info

from aisdatapipes.manifests.manifest import Manifest, ManifestEntry
from aisdatapipes.reading.object_reader import ObjectReader
from aisdatapipes.types import Object

__all__ = ["OldIterHooks", "OldMapHooks"]


class _HasShare(Protocol):
    _reader: ObjectReader

    def share(self) -> Iterator[ManifestEntry]: ...


class _HasManifest(Protocol):
    manifest: Manifest
    _reader: ObjectReader


class OldIterHooks:
    """Hooks that ``__iter__`` of a subclass of AIStore's ``AISBaseIterDataset`` calls.

    Source:
        ``base_iter_dataset.py`` of AIStore's ``aistore.pytorch``, its CIFAR-10 notebook.
    """

    def _reset_iterator(self) -> None:
        """Do nothing: every `share` begins a pass."""
        _warn("_reset_iterator() does nothing: every share() begins a pass")

    def _get_worker_iter_info(self: _HasShare) -> tuple[Iterator[Object], str]:
        """Begin a pass: return the SDK's objects of this worker's share, and the worker's name.

        They are read by the SDK, one by one, and do not move the state on: resumed, the share
        is read from its beginning.
        """
        _warn(
            "_get_worker_iter_info() reads object by object: use self.read(self.share()), which "
            "reads ahead and yields entries with their content"
        )
        worker = get_worker_info()
        name = f" (Worker {worker.id})" if worker and worker.num_workers > 1 else ""
        return (_sdk_object(self._reader, entry) for entry in self.share()), name


class OldMapHooks:
    """What ``__getitem__`` of a subclass of AIStore's ``AISBaseMapDataset`` uses.

    Source:
        ``base_map_dataset.py`` of AIStore's ``aistore.pytorch``.
    """

    @property
    def _obj_list(self: _HasManifest) -> Sequence[Object]:
        """The SDK's objects, each made when it is asked for."""
        _warn(
            "_obj_list is read by the SDK, object by object: use self.read(index) for name and "
            "content, self.manifest for what there is"
        )
        return _Objects(self.manifest, self._reader)


class _Objects(Sequence[Object]):
    def __init__(self, manifest: Manifest, reader: ObjectReader) -> None:
        self._manifest = manifest
        self._reader = reader

    def __len__(self) -> int:
        return len(self._manifest)

    @overload
    def __getitem__(self, index: int) -> Object: ...
    @overload
    def __getitem__(self, index: slice) -> list[Object]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return _sdk_object(self._reader, self._manifest[index])


def _sdk_object(reader: ObjectReader, entry: ManifestEntry) -> Object:
    return reader.request_for(entry.url).sdk_object(entry.size)


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)
