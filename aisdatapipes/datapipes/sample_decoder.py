"""Samples decoded, and as tuples: the two pipes that come behind the loader of samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch.utils.data import IterDataPipe

from aisdatapipes.errors import BadArchiveError
from aisdatapipes.shards.decoding import Handler, SampleDecoder

__all__ = ["AISSampleDecoder", "AISSampleTuples"]


class AISSampleDecoder(IterDataPipe[dict[str, Any]]):
    """Decodes the files of samples, each by its extension (functional name: ``decode``).

    Takes the dictionaries of `AISSampleLoader` and yields them decoded; what begins with ``__``
    stays. Webdataset does it, the extra ``webdataset``: images as its formats say, ``"pil"``,
    ``"rgb"``, ``"rgb8"``, ``"torchrgb"``, ``"torchrgb8"``, …; ``cls`` to an int; ``json``, ``txt``,
    ``npy`` and others to what is in them. A file of another kind stays bytes, and an empty one.
    Files that are pickles run what is in them: set ``WDS_SECURE=1`` in the environment where the
    shards are not your own.

    Args:
        source_datapipe: Pipe or other iterable of samples.
        handlers: Formats of images, or functions of extension, as ``".jpg"``, and bytes that
            return what is in these, or None if they are not their kind. The first that takes a
            file has it.

    Raises:
        ImportError: At construction: there is no webdataset.
        ValueError: At construction: no such format.
        DecodingError: While iterating: a file cannot be decoded; it is named, with its shard.

    Example:
        >>> samples = [{"__key__": "a", "__url__": "ais://coco/0.tar", "cls": b"3", "txt": b"cat"}]
        >>> list(AISSampleDecoder(samples, "pil").to_tuple("txt", "cls"))
        [('cat', 3)]

    Source:
        ``WebDataset.decode`` of webdataset 1.0.2.
    """

    def __init__(self, source_datapipe: Iterable[dict[str, Any]], *handlers: str | Handler) -> None:
        self.source_datapipe = source_datapipe
        self._decoder = SampleDecoder(handlers)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for sample in self.source_datapipe:
            own = {name: value for name, value in sample.items() if name.startswith("__")}
            files = {name: value for name, value in sample.items() if name not in own}
            url, key = sample.get("__url__", "no known shard"), sample.get("__key__", "")
            yield own | self._decoder(url, key, files)


class AISSampleTuples(IterDataPipe[tuple[Any, ...]]):
    """Yields some fields of samples as tuples (functional name: ``to_tuple``).

    Args:
        source_datapipe: Pipe or other iterable of dictionaries, as of `AISSampleLoader`.
        fields: Names, each with alternatives behind semicolons, of which the first that a sample
            has is taken: ``"jpg;png", "cls"``, ``"__key__"``. One text with blanks is several.

    Raises:
        ValueError: At construction: there is no field.
        BadArchiveError: While iterating: a sample has none of the alternatives of a field.

    Example:
        >>> samples = [{"__key__": "0001", "png": b"image", "cls": 7}]
        >>> list(AISSampleTuples(samples, "jpg;png", "cls"))
        [(b'image', 7)]

    Source:
        ``WebDataset.to_tuple`` of webdataset 1.0.2.
    """

    def __init__(self, source_datapipe: Iterable[Mapping[str, Any]], *fields: str) -> None:
        names = fields[0].split() if len(fields) == 1 else fields
        if not names:
            raise ValueError("to_tuple() without a field: give their names, as 'jpg;png', 'cls'")
        self.source_datapipe = source_datapipe
        self._fields = [name.split(";") for name in names]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for sample in self.source_datapipe:
            yield tuple(_first(sample, names) for names in self._fields)


def _first(sample: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in sample:
            return sample[name]
    raise BadArchiveError(
        f"sample {sample.get('__key__', '')!r} in {sample.get('__url__', 'no known shard')} has "
        f"{', '.join(sample)}, and no {' or '.join(names)}: add what it has as an alternative, "
        "as 'jpg;png', or filter such samples out before"
    )
