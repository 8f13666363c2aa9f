"""Tar loader: tar archives in, their files out, one open file each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from torch.utils.data import IterDataPipe
from torch.utils.data.datapipes.utils.common import StreamWrapper

from aisdatapipes.client.settings import Settings
from aisdatapipes.tar import TarReader

__all__ = ["AISTarLoader"]

_MODES = ("r:*", "r|*", "r", "r:", "r|", "r:gz", "r|gz")


class AISTarLoader(IterDataPipe[tuple[str, StreamWrapper]]):
    """Reads the files of tar archives (functional name: ``load_from_tar_by_ais``).

    Takes ``(path, stream)`` and yields ``(path/member, stream)`` for every regular file, in the
    order of the archive; directories and links are left out, links with a line in the log at
    level ``INFO``. The path is normalized as by `os.path.normpath`, so ``ais://`` becomes
    ``ais:/``. It is also ``load_from_tar`` where torchdata has none, that is from 0.10 on.

    Archives are read once, forward, a few hundred kilobytes at a time, and closed where they end.
    A member is in memory, whole, as long as its stream is held: ``.shuffle()`` behind it works at
    no further request, and holds as many members as its buffer has places.

    Args:
        source_datapipe: Paths and binary files, such as ``load_files_by_ais`` yields.
        mode: As `tarfile.open` has it: any tar (``"r:*"``) may be compressed by gzip or not; those
            of bzip2 and xz are not read.
        length: What ``len()`` answers; -1 for unknown, so that ``len()`` raises `TypeError`.
        settings: Have the limit for a file of a compressed archive, ``max_member_bytes``.

    Raises:
        ValueError: At construction: the mode is of another compression, or one to write.
        BadArchiveError: While iterating: a file is no tar, or damaged.
        CutArchiveError: While iterating: an archive ends before the end mark of a tar.

    Example:
        >>> from aisdatapipes import AISFileLister
        >>> shards = AISFileLister(["ais://coco/train-"]).load_files_by_ais()
        >>> [path for path, stream in shards.load_from_tar_by_ais()]
        ['ais:/coco/train-000000.tar/0001.jpg', 'ais:/coco/train-000000.tar/0001.cls']

    Source:
        ``TarArchiveLoaderIterDataPipe`` of torchdata 0.9, whose streams read from the open archive;
        it takes an archive without an end mark for a whole one, and only the first of several in
        one file.
    """

    def __init__(
        self,
        source_datapipe: Iterable[tuple[str, Any]],
        mode: str = "r:*",
        length: int = -1,
        *,
        settings: Settings | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(
                f"mode is {mode!r}: give one of {', '.join(_MODES)}, or read other archives by "
                "torchdata 0.9"
            )
        self.source_datapipe = source_datapipe
        self.mode = mode
        self.length = length
        self.settings = settings or Settings()

    def __iter__(self) -> Iterator[tuple[str, StreamWrapper]]:
        for path, archive in self.source_datapipe:
            try:
                tar = TarReader(archive, path, max_member_bytes=self.settings.max_member_bytes)
                for name, content, _ in tar.files(skips_links=True):
                    inner = os.path.normpath(os.path.join(path, name))  # noqa: PTH118 - of a URL
                    yield inner, StreamWrapper(BytesIO(content), name=inner)
            finally:
                archive.close()

    def __len__(self) -> int:
        if self.length < 0:
            raise TypeError(f"{type(self).__name__} has no length: give it as length=")
        return self.length
