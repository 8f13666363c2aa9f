"""Old code: ``import aisdatapipes.compat`` makes AIStore's ``aistore.pytorch`` this package.

Every ``from aistore.pytorch import …`` that runs after it gives our classes, by every module path
that ``aistore.pytorch`` has had, and without its dependencies. What is ours in none of them, as
``aistore.pytorch.utils``, stays AIStore's. Import it first, at the top of the script and outside of
``if __name__ == "__main__":``, so that spawned workers, which import the script, do the same.

Example:
    >>> import aisdatapipes.compat
    >>> from aistore.pytorch import AISMapDataset
    >>> from aistore.pytorch.dataset import AISDataset
    >>> AISMapDataset.__module__
    'aisdatapipes.datasets.map'
"""

from __future__ import annotations

import sys
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import aistore  # noqa: F401  # the package that the modules go into

from aisdatapipes import datapipes, datasets
from aisdatapipes.client import worker_client
from aisdatapipes.samplers import DynamicBatchSampler

__all__: list[str] = []

_PACKAGE = "aistore.pytorch"

_PIPES = {
    name: getattr(datapipes, name)
    for name in (
        "AISFileLister",
        "AISFileListerIterDataPipe",
        "AISFileLoader",
        "AISFileLoaderIterDataPipe",
        "AISSourceLister",
    )
}
_DATASETS = {name: getattr(datasets, name) for name in datasets.__all__ if name.startswith("AIS")}
_CLIENT = {"WorkerRequestClient": worker_client.WorkerRequestClient}
_SAMPLER = {"DynamicBatchSampler": DynamicBatchSampler}

_MODULES: dict[str, dict[str, type]] = {
    "aisio": _PIPES,
    "dynamic_sampler": _SAMPLER,
    "worker_request_client": _CLIENT,
    **dict.fromkeys(
        (
            "base_iter_dataset",
            "base_map_dataset",
            "batch_iter_dataset",
            "dataset",
            "iter_dataset",
            "map_dataset",
            "multishard_dataset",
            "parallel_map_dataset",
            "shard_reader",
        ),
        _DATASETS,
    ),
}
"""Modules in ``aistore.pytorch``, of all its versions, to what is taken from them."""


def _install() -> None:
    late = _users_of_the_sdk()
    package = _module(_PACKAGE, _path_of_the_sdk())
    for tail, members in _MODULES.items():
        vars(_module(f"{_PACKAGE}.{tail}")).update(members)
    vars(package).update(_PIPES | _DATASETS | _SAMPLER)
    if late:
        warnings.warn(
            f"{', '.join(late)} took names of {_PACKAGE} before aisdatapipes.compat was imported, "
            "and goes on with AIStore's own classes: import aisdatapipes.compat first",
            RuntimeWarning,
            stacklevel=3,
        )


def _path_of_the_sdk() -> list[str]:
    """Return where the rest of AIStore's package is found, without running it."""
    spec = find_spec(_PACKAGE)
    return list(spec.submodule_search_locations or ()) if spec else []


def _module(name: str, path: list[str] | None = None) -> ModuleType:
    """Return the module of that name, made if it is not there; a package if it has a path."""
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=path is not None)
        if path is not None:
            spec.submodule_search_locations = path
        sys.modules[name] = module_from_spec(spec)
    parent, _, tail = name.rpartition(".")
    setattr(sys.modules[parent], tail, sys.modules[name])
    return sys.modules[name]


def _users_of_the_sdk() -> list[str]:
    """Return the modules, but its own, that have a class of the SDK's package already."""
    package = sys.modules.get(_PACKAGE)
    if package is None:
        return []
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType)
        and not name.startswith(_PACKAGE)
        and any(_is_of_the_sdk(value) for value in list(vars(module).values()))
    )


def _is_of_the_sdk(value: object) -> bool:
    # By its type: some modules have objects that warn when anything is asked of them.
    return issubclass(type(value), type) and str(vars(value).get("__module__")).startswith(_PACKAGE)


_install()
