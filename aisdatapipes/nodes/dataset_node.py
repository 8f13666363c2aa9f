"""Nodes over a dataset: its epochs, one after the other, and its state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from torchdata.nodes import BaseNode  # pyright: ignore[reportMissingImports]

from aisdatapipes.datasets import AISShardReader, ZeroDict
from aisdatapipes.datasets.resumable import ResumableDataset
from aisdatapipes.datasets.shard_reader import ShardKeywords
from aisdatapipes.manifests.manifest import Manifest
from aisdatapipes.metrics.counters import Counters

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AISSamples", "DatasetNode"]


class DatasetNode(BaseNode):
    """Reads a dataset by torchdata's protocol of nodes.

    Every reset without a state begins an epoch: the next one, if anything was read of the one
    before, so that a shuffled dataset has a new order each time.

    Args:
        dataset: What to read; nobody else reads it.
    """

    def __init__(self, dataset: ResumableDataset) -> None:
        super().__init__()
        self.dataset = dataset
        self._epoch = 0
        self._has_begun = False

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        """Begin the next epoch, or resume where a state says."""
        super().reset(initial_state)
        if initial_state is not None:
            self._epoch, self._has_begun = initial_state["epoch"], initial_state["has_begun"]
            self.dataset.load_state_dict(initial_state["dataset"])
        elif self._has_begun:
            self._epoch, self._has_begun = self._epoch + 1, False
        # A turn, which one rank alone takes for an epoch: several ranks may begin unequally often.
        self.dataset._epochs.set_epoch(0, self._epoch)
        self._samples = iter(self.dataset)

    def next(self) -> Any:
        """Return the next sample."""
        self._has_begun = True
        return next(self._samples)

    def get_state(self) -> dict[str, Any]:
        """Return where it stands: plain data, as JSON has it."""
        return {
            "epoch": self._epoch,
            "has_begun": self._has_begun,
            "dataset": self.dataset.state_dict(),
        }

    def counters(self) -> Counters:
        """Return what was done until now."""
        return self.dataset.counters()

    def skipped_urls(self) -> list[str]:
        """Return the URLs that ``on_error`` left out until now."""
        return self.dataset.skipped_urls()


class AISSamples(DatasetNode):
    """Samples of tar shards, as ``(basename, files)``, each rank those of its own shards.

    It reads by an `AISShardReader`, whose arguments and errors it has, and resumes in the middle
    of a shard. Every pass is an epoch of its own, with `shuffle` in an order of its own.

    Args:
        urls_list: ``provider://bucket[/prefix]`` of the shards, or several.
        manifest: The shards, in place of URLs.
        shuffle: Give every epoch a random order.
        seed: Of these orders; the same in all ranks.
        shuffle_buffer: How many samples the next one is drawn from if `shuffle` is on.
        options: What else an `AISShardReader` takes by name, as ``uneven`` or ``on_error``.

    Example:
        >>> from torchdata.nodes import Loader
        >>> for basename, files in Loader(AISSamples("ais://coco/train-")):
        ...     print(basename, sorted(files))
        0001 ['cls', 'jpg']
    """

    def __init__(
        self,
        urls_list: str | Iterable[str] | None = None,
        manifest: Manifest | None = None,
        *,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_buffer: int = 512,
        **options: Unpack[ShardKeywords],
    ) -> None:
        super().__init__(
            AISShardReader(
                urls_list=urls_list,
                manifest=manifest,
                shuffle=shuffle,
                seed=seed,
                shuffle_buffer=shuffle_buffer,
                **options,
            )
        )

    def next(self) -> tuple[str, ZeroDict]:
        """Return the next sample."""
        return super().next()
