"""Registration of functional names, over torchdata's own AIS pipes and in any import order."""

from __future__ import annotations

import importlib
import warnings
from importlib.util import find_spec

from torch.utils.data import IterDataPipe, functional_datapipe

__all__ = ["TORCHDATA_HAS_PIPES", "register"]

with warnings.catch_warnings():
    # torchdata 0.9 tells every importer that its next release drops DataPipes: nothing here needs
    # them. They are imported first where they are, to replace its AIS pipes, which fail with every
    # SDK since 1.23: a name that is taken before that import would break it.
    warnings.filterwarnings("ignore", "[\\s\\S]*'datapipes', 'dataloader2' modules are deprecated")
    TORCHDATA_HAS_PIPES = find_spec("torchdata.datapipes") is not None
    if TORCHDATA_HAS_PIPES:
        importlib.import_module("torchdata.datapipes.iter")


def register(pipe: type[IterDataPipe], *functional_names: str) -> None:
    """Make `pipe` available as a method of every pipe, under each of `functional_names`.

    A name that is taken is replaced; so a reload of this package is harmless.

    Example:
        >>> from aisdatapipes import AISFileLister
        >>> register(AISFileLister, "list_files_by_ais")
    """
    # Torch looks for it at every item, and takes a microsecond longer where it is not there.
    # https://github.com/pytorch/pytorch/blob/v2.2.0/torch/utils/data/datapipes/_hook_iterator.py
    pipe._is_child_datapipe = False  # pyright: ignore[reportAttributeAccessIssue]
    for functional_name in functional_names:
        IterDataPipe.functions.pop(functional_name, None)
        functional_datapipe(functional_name)(pipe)
