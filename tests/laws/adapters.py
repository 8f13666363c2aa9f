"""One adapter for each dataset class: how it is made, and which sample a thing it yields is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aistore.sdk import DataShard
from torch.utils.data import get_worker_info

from aisdatapipes import (
    AISIterDataset,
    AISMultiShardStream,
    AISShardMapDataset,
    AISShardReader,
    Settings,
)
from aisdatapipes.datapipes import IterableWrapper
from laws.cases import Case
from laws.store import Layout, Store

__all__ = ["ADAPTERS", "Adapter", "Read"]

Read = tuple[int, str]
"""The worker that read a sample, and the sample."""

HASTY = Settings(max_retries=1, first_backoff_s=0.001, max_backoff_s=0.001, retry_deadline_s=1.0)


@dataclass(frozen=True)
class Give:
    """An ``on_error`` function that knows what to have in place of every object."""

    contents: dict[str, bytes]
    prefix: str

    def __call__(self, url: str, error: Exception) -> bytes:  # noqa: ARG002
        """Return the content."""
        return self.contents[self.prefix + url.partition(self.prefix)[2]]


def give_nothing(url: str, error: Exception) -> None:
    """Skip, as an ``on_error`` function may."""


class Adapter(ABC):
    """What the suite has to know of one class of datasets.

    Attributes:
        lists: Whether the objects are listed when the dataset is made.
        is_even_after_skips: Whether ranks make equally many steps whatever is skipped.
        has_buffer: Whether it draws samples at random from a buffer.
        counts_samples: Whether each sample that cannot be read is a failure, and not each shard.
    """

    lists = False
    is_even_after_skips = True
    has_buffer = False
    counts_samples = False

    @staticmethod
    @abstractmethod
    def identify(found: Any) -> Read:
        """Return which sample it is, and check what it holds."""

    @abstractmethod
    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """Return the dataset of a case."""

    def make(
        self, case: Case, store: Store, rank: int, world: int, endpoint: str = "", **changes: Any
    ) -> Any:
        """Make the dataset of one rank, while the shards that vanish later are still there."""
        layout = store.layout(case)
        options: dict[str, Any] = {
            "shuffle": case.shuffle,
            "seed": case.seed,
            "uneven": case.uneven,
            "on_error": self._on_error(case, layout),
            "max_errors": case.max_errors,
            "rank": rank,
            "world_size": world,
            "settings": HASTY,
            "transform": self.identify,
            **changes,
        }
        options["endpoint"] = endpoint or store.endpoint
        make = lambda: self.dataset(case, store, layout, options)  # noqa: E731
        return store.made(layout, make, is_listing=self.lists)

    @staticmethod
    def _on_error(case: Case, layout: Layout) -> str | Callable[..., bytes | None]:
        if case.on_error == "none":
            return give_nothing
        if case.on_error == "give":
            return Give(layout.replacements, layout.prefix)
        return case.on_error


class Objects(Adapter):
    """`AISIterDataset`: an object is a sample."""

    is_even_after_skips = False  # as its docstring says

    @staticmethod
    def identify(found: tuple[str, bytes]) -> Read:
        """The content repeats the number in the name."""
        name, content = found
        sample = content.decode()
        assert f"{name.rpartition('/')[2]}-0" == sample.removeprefix("R:"), found
        return _worker(), sample

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """With runs of objects for each worker."""
        manifest = store.manifest(layout, is_listed=case.is_listed)
        options["client_url"] = options.pop("endpoint")
        return AISIterDataset(manifest=manifest, loader_batch_size=case.run, **options)


class Shards(Adapter):
    """`AISShardReader`: two members that share a key are a sample."""

    has_buffer = True

    @staticmethod
    def identify(found: tuple[str, dict[str, bytes]]) -> Read:
        """Both files name the sample."""
        name, files = found
        (content,) = set(files.values())
        mark, _, sample = content.decode().partition("0|")
        assert (name, sorted(files)) == (sample, ["a", "b"]), found
        return _worker(), mark + sample

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """With a shuffle buffer."""
        manifest = store.manifest(layout, is_listed=case.is_listed)
        options["client_url"] = options.pop("endpoint")
        options.setdefault("shuffle_buffer", case.buffer)
        return AISShardReader(manifest=manifest, **options)


class Dealt(Shards):
    """`AISShardReader` with an index, that deals samples in place of shards."""

    has_buffer = False
    counts_samples = True

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """With the shards that the index is of, or by the index alone."""
        if case.is_listed:
            options["manifest"] = store.manifest(layout, is_listed=True)
        options["client_url"] = options.pop("endpoint")
        return AISShardReader(index=store.index(layout), deal="samples", **options)


class ByIndex(Shards):
    """`AISShardMapDataset`: a sampler says which samples, and in what order (`laws.by_index`)."""

    has_buffer = False
    counts_samples = True

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """By an index that is there already: what vanishes is there when it is made."""
        manifest = store.manifest(layout, is_listed=True) if case.is_listed else None
        kept = ("on_error", "max_errors", "settings", "transform")
        return AISShardMapDataset(
            manifest=manifest,
            index=store.index(layout),
            client_url=options["endpoint"],
            **{name: options[name] for name in kept},
        )


class Chains(Adapter):
    """``list_samples_by_ais`` and ``load_samples_by_ais`` (`laws.chains`)."""

    has_buffer = False
    counts_samples = True

    @staticmethod
    def identify(found: dict[str, Any]) -> Read:
        """As for `Shards`, of WebDataset's dictionaries."""
        files = {name: file for name, file in found.items() if not name.startswith("__")}
        return Shards.identify((found["__key__"].rpartition("/")[2], files))

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """List the shards where all are there to stay, else take the references of an index."""
        endpoint = options["endpoint"]
        if case.is_whole and case.is_listed:
            urls = IterableWrapper([f"ais://{store.bucket.name}/{layout.prefix}"])
            references = urls.list_samples_by_ais(url=endpoint)
        else:
            references = IterableWrapper(store.index(layout))
        if case.shuffle:
            references = references.shuffle(buffer_size=case.buffer)
        samples = references.sharding_filter().load_samples_by_ais(
            url=endpoint,
            on_error=options["on_error"],
            max_errors=options["max_errors"],
            settings=options["settings"],
        )
        return samples.map(self.identify)


class Streams(Adapter):
    """`AISMultiShardStream`: the files of the same number in every stream are a sample."""

    lists = True

    @staticmethod
    def identify(found: tuple[bytes, ...]) -> Read:
        """All files have the same number, and each is of its own stream."""
        marks = [file.decode().rpartition("|") for file in found]
        (sample,) = {sample for _, _, sample in marks}
        streams = [mark.removeprefix("R:") for mark, _, _ in marks]
        assert streams == [str(number) for number in range(len(found))], found
        is_replaced = any(mark.startswith("R:") for mark, _, _ in marks)
        return _worker(), f"{'R:' if is_replaced else ''}{sample}"

    def dataset(self, case: Case, store: Store, layout: Layout, options: dict[str, Any]) -> Any:
        """One source for each stream."""
        endpoint = options.pop("endpoint")
        sources = [
            DataShard(endpoint, store.bucket.name, prefix=f"{layout.prefix}s{stream}/")
            for stream in range(case.width)
        ]
        return AISMultiShardStream(sources, **options)


def _worker() -> int:
    info = get_worker_info()
    return info.id if info else 0


ADAPTERS: dict[str, Adapter] = {
    "objects": Objects(),
    "shards": Shards(),
    "dealt": Dealt(),
    "streams": Streams(),
    "by index": ByIndex(),
    "chain": Chains(),
}
