"""Decoding: what is in the files of a sample, by their extensions.

The codecs are webdataset's own, or functions that the user gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aisdatapipes.errors import DecodingError

__all__ = ["Decode", "SampleDecoder"]

Handler = Callable[[str, bytes], Any]
"""Called with extension, as ``".jpg"``, and content; returns what is in it, None if it is not its
kind: a handler of webdataset."""

Decode = str | Handler | Sequence[str | Handler]
"""One or several: how images are decoded, as ``"pil"``, ``"rgb"``, ``"torchrgb8"``, or handlers."""


class SampleDecoder:
    """Decodes the files of a sample, each by its extension, with the handlers of webdataset.

    After the given ones come webdataset's own: ``cls`` is an int, ``json`` what is in it, ``txt``
    text, ``npy`` an array. A file that no handler takes stays bytes; an empty one too, as it may
    stand for one that is missing. Handlers for ``pth`` and ``pickle`` run what is in the file:
    set ``WDS_SECURE=1`` in the environment where the shards are not your own.

    Args:
        handlers: See `Decode`.

    Raises:
        ImportError: There is no webdataset.
        ValueError: A text is none of its image formats.

    Example:
        >>> SampleDecoder(["pil"])("ais://coco/0.tar", "0001", {"cls": b"7", "txt": b"seven"})
        {'cls': 7, 'txt': 'seven'}

    Source:
        ``Decoder`` of webdataset 1.0.2, which is used.
    """

    def __init__(self, handlers: Decode) -> None:
        if isinstance(handlers, str) or not isinstance(handlers, Sequence):
            handlers = [handlers]
        try:
            from webdataset.autodecode import Decoder, imagehandler, imagespecs  # an extra
        except ImportError as error:
            raise ImportError(
                "samples are decoded by webdataset, which cannot be imported: pip install "
                "'aisdatapipes[webdataset]', or decode in a transform of your own"
            ) from error
        if unknown := [one for one in handlers if isinstance(one, str) and one not in imagespecs]:
            raise ValueError(f"no image format {unknown[0]!r}: there are {', '.join(imagespecs)}")
        self._decoder = Decoder(
            [imagehandler(one) if isinstance(one, str) else one for one in handlers]
        )

    def __call__(self, url: str, key: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the files decoded, by extension.

        Raises:
            DecodingError: A handler failed; the message names shard, sample and file.
        """
        return {
            extension: self._decoded(url, key, extension, content) if content else content
            for extension, content in files.items()
        }

    def _decoded(self, url: str, key: str, extension: str, content: bytes) -> Any:
        try:
            return self._decoder.decode1(extension, content)
        except Exception as error:  # a codec may raise anything
            raise DecodingError(
                f"cannot decode {key}.{extension} in {url} ({type(error).__name__}: {error}): "
                "repair the shard, or give a handler that returns something else for it"
            ) from error
