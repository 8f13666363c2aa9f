"""ZeroDict: the files of a sample, with empty ones for the extensions that others have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aisdatapipes.shards.decoding import Decode, SampleDecoder
from aisdatapipes.urls import parse_url

__all__ = ["PairDecoder", "ZeroDict"]


class ZeroDict(dict[str, Any]):
    """Files by extension; those that the sample does not have are there, and empty.

    torch's default collate function makes one dictionary of lists of a batch, and needs the same
    keys in every sample. So every extension seen so far is present, ``b""`` where the sample has
    no such file. It is a plain dictionary otherwise, and pickles.

    The trap: "so far" is in this process, so a sample that comes before the first one with a
    ``.json`` has no ``json``; and an empty file cannot be told from a missing one. Where that
    matters, use `AISShardReader` with ``strict=True``, which raises instead.

    Args:
        files: Content by extension; decoded, where that was asked for.
        keys: Extensions to have.
        key: The sample's key: directory, and name up to the first dot.
        url: The shard's.

    Attributes:
        key: As given.
        url: As given.

    Example:
        >>> ZeroDict({"jpg": b"image"}, ["jpg", "cls"])
        {'jpg': b'image', 'cls': b''}

    Source:
        ``AISShardReader.ZeroDict`` of AIStore's ``aistore.pytorch``.
    """

    def __init__(
        self, files: Mapping[str, Any], keys: Iterable[str] = (), key: str = "", url: str = ""
    ) -> None:
        super().__init__(files)
        self.key = key
        self.url = url
        for extension in keys:
            self.setdefault(extension, b"")

    @property
    def bucket(self) -> str:
        """URL of the shard's bucket, ``provider://bucket``, with its namespace if it has one."""
        return parse_url(self.url).bucket_url


class PairDecoder:
    """Decodes the files in pairs of basename and `ZeroDict`.

    Args:
        decode: How; see `SampleDecoder`.
        transform: Called with the pair, returns what comes in its place; None for nothing.
    """

    def __init__(self, decode: Decode, transform: Callable[[Any], Any] | None) -> None:
        self._decoder = SampleDecoder(decode)
        self._transform = transform

    def __call__(self, pair: tuple[str, ZeroDict]) -> Any:
        """Return the pair decoded, and transformed.

        Raises:
            DecodingError: A file cannot be decoded.
        """
        basename, files = pair
        decoded = self._decoder(files.url, files.key, files)
        pair = basename, ZeroDict(decoded, (), files.key, files.url)
        return self._transform(pair) if self._transform else pair
