"""Stand-ins: every pipe has our functional names, and nothing is imported for that.

``import aisdatapipes`` takes milliseconds, torch takes seconds. So what is registered with torch
are stand-ins, which import the pipes when one is called. Where torch is not imported yet, they wait
for it: a finder on `sys.meta_path` lets Python find two modules as ever, and acts when they run.

* ``torch.utils.data.datapipes.datapipe`` has the class whose names ours go to, right behind it.
* ``torchdata.datapipes.iter`` registers pipes by some of these names, and fails where one is taken.
  It finds them free. Then ours are back in place of its own, which fail with every SDK since 1.23.

That runs in the middle of torch's own import, and maybe in that of a module of ours that imports
torch: it touches a dictionary of torch's, and imports nothing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec
    from types import ModuleType
else:
    Loader = MetaPathFinder = object  # the classes would take longer to import than all of this

__all__ = ["FUNCTIONAL_NAMES", "TORCHDATA_NAMES", "register_stand_ins"]

FUNCTIONAL_NAMES = {
    "list_files_by_ais": "AISFileLister",
    "ais_list_files": "AISFileLister",
    "load_files_by_ais": "AISFileLoader",
    "ais_load_files": "AISFileLoader",
    "show_progress_by_ais": "AISProgress",
    "decode": "AISSampleDecoder",
    "to_tuple": "AISSampleTuples",
    "list_samples_by_ais": "AISSampleLister",
    "load_samples_by_ais": "AISSampleLoader",
    "ais_list_sources": "AISSourceLister",
    "load_from_tar_by_ais": "AISTarLoader",
}
"""To the classes in `aisdatapipes.datapipes` that they make."""

TORCHDATA_NAMES = {"load_from_tar": "AISTarLoader"}
"""Those that are torchdata's, and ours only where it has none."""

_PIPES = "aisdatapipes.datapipes"
_TORCH = "torch.utils.data.datapipes.datapipe"
_TORCHDATA = "torchdata.datapipes.iter"


def register_stand_ins() -> None:
    """Register all names, now or as soon as torch is imported; calls after the first do no harm."""
    if _PIPES in sys.modules:
        return
    if _TORCH in sys.modules:
        importlib.import_module(_TORCH)  # where another thread imports it, wait for that
        _add_stand_ins()
    around = {_TORCH: _add_behind, _TORCHDATA: _aside}
    waiting = {name: action for name, action in around.items() if name not in sys.modules}
    if waiting:
        sys.meta_path.insert(0, _Finder(waiting))


def _functions() -> dict[str, Callable[..., Any]]:
    """Return torch's dictionary of functional names; an empty one, where torch has no pipes."""
    base = getattr(sys.modules.get(_TORCH), "IterDataPipe", None)
    return getattr(base, "functions", {})


def _add_stand_ins() -> None:
    functions = _functions()
    functions.update({name: _stand_in(name) for name in FUNCTIONAL_NAMES})
    for name in TORCHDATA_NAMES:
        functions.setdefault(name, _stand_in(name))


def _stand_in(name: str) -> Callable[..., Any]:
    def make(*args: Any, **options: Any) -> Any:
        importlib.import_module(_PIPES)  # which registers the pipe itself
        return _functions()[name](*args, **options)

    make.__doc__ = f"See `{_PIPES}.{(FUNCTIONAL_NAMES | TORCHDATA_NAMES)[name]}`."
    return make


@contextmanager
def _add_behind() -> Iterator[None]:
    yield
    _add_stand_ins()


@contextmanager
def _aside() -> Iterator[None]:
    """Leave the names to torchdata for the block, and take them back, all but its own."""
    with suppress(ImportError):
        importlib.import_module(_TORCH)  # not in the block, where our names would be in the way
    functions = _functions()
    ours = {name: functions.pop(name) for name in FUNCTIONAL_NAMES if name in functions}
    its = {name: functions.pop(name) for name in TORCHDATA_NAMES if name in functions}
    try:
        yield
    finally:
        functions.update(its | functions | ours)


_Around = Callable[[], AbstractContextManager[None]]


class _Finder(MetaPathFinder):
    """Finds some modules where the others find them, and does something around their first run."""

    def __init__(self, around: Mapping[str, _Around]) -> None:
        self._around = dict(around)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, of which only the loader is another."""
        if fullname not in self._around:
            return None
        # Not those before it: of two of these, each would leave it to the other.
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :] if self in sys.meta_path else ()
        specs = (one.find_spec(fullname, path, target) for one in behind)
        spec = next((one for one in specs if one), None)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, self)
        return spec

    def run(self, module: ModuleType, loader: Loader) -> None:
        """Run a module, with what is to be done around it; the first time only."""
        around = self._around.pop(module.__name__, None)
        if not self._around and self in sys.meta_path:
            sys.meta_path.remove(self)
        if around is None:
            loader.exec_module(module)
            return
        with around():
            loader.exec_module(module)


class _Loader(Loader):
    """Stands for the module's own loader until the module runs."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the module's own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module's own loader back, and let it run the module."""
        module.__loader__ = self._loader
        if module.__spec__:
            module.__spec__.loader = self._loader
        self._finder.run(module, self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
