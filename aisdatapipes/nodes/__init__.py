"""Nodes: what ``torchdata.nodes``, from torchdata 0.10 on, reads AIStore with.

They go with its ``Batcher``, ``ParallelMapper``, ``Prefetcher``, ``MultiNodeWeightedSampler`` and
``Loader``, and resume exactly through their states, wherever they stand in such a graph.

Example:
    >>> from torchdata.nodes import Batcher, Loader
    >>> from aisdatapipes.nodes import AISLister, AISLoader
    >>> loader = Loader(Batcher(AISLoader(AISLister("ais://caltech256/")), 2, drop_last=False))
    >>> [len(batch) for batch in loader]
    [2, 2, 1]
"""

from importlib.metadata import version
from importlib.util import find_spec

if find_spec("torchdata.nodes") is None:
    raise ImportError(
        f"torchdata {version('torchdata')} has no nodes: pip install 'torchdata>=0.10', or use the "
        "pipes and datasets of aisdatapipes"
    )

from aisdatapipes.nodes.dataset_node import AISSamples
from aisdatapipes.nodes.lister import AISLister
from aisdatapipes.nodes.loader import AISLoader

__all__ = ["AISLister", "AISLoader", "AISSamples"]
