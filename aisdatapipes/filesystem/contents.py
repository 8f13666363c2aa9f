"""Contents: files that are read, one or many at a time, whole or by ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.utils import isfilelike

from aisdatapipes.errors import AISPipeError, ClusterError, IsFolderError, ObjectNotFoundError
from aisdatapipes.filesystem.readable_file import ReadableFile
from aisdatapipes.filesystem.transfers import TransferPlan, pour, save
from aisdatapipes.filesystem.tree import FolderTree
from aisdatapipes.metrics.counters import Counters, SharedCounters, counting
from aisdatapipes.processes.background import BackgroundPool
from aisdatapipes.reading.options import ReadOptions
from aisdatapipes.reading.prefetcher import Outcome, prefetch
from aisdatapipes.reading.properties import ask_properties
from aisdatapipes.reading.scattered import Part, read_part, read_scattered
from aisdatapipes.reading.streams import open_object, size_of

__all__ = ["Contents"]


class Contents(FolderTree):
    """A filesystem whose files can be read."""

    blocksize: int
    concurrency: int
    _shared_counters: SharedCounters

    def counters(self) -> Counters:
        """Return what this instance has read until now, forked copies included."""
        return self._shared_counters.total()

    def open_for_reading(self, path: str, block_size: int | None) -> ReadableFile:
        """Open an object.

        Raises:
            IsADirectoryError: It is a folder.
            FileNotFoundError: There is nothing.
        """
        with self._folder_named(path), self._counting():
            return ReadableFile(self, path, block_size or self.blocksize)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the bytes of an object, or a range of them.

        Args:
            path: Of the object.
            start: The first byte; from the end, if negative.
            end: That behind the last one; likewise.
            **kwargs: Without effect.
        """
        with self._folder_named(path), self._counting():
            if start is None and end is None:
                with open_object(self.request_for(path)) as file:
                    return file.read()
            return read_part(self._part(path, start, end))

    def cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any
    ) -> Any:
        """Return the bytes of an object, or of many by path, read many at a time.

        Args:
            path: A path, a pattern, a list of them, or a folder if `recursive`.
            recursive: Read all that is in folders.
            on_error: ``"raise"``, ``"omit"`` objects that cannot be read, or ``"return"`` the
                error in place of the bytes.
            **kwargs: ``maxdepth`` of the folders.
        """
        if on_error not in ("raise", "omit", "return"):
            raise ValueError(f"on_error is {on_error!r}: give 'raise', 'omit' or 'return'")
        plan = TransferPlan(self)
        paths = plan.objects(path, recursive=recursive, maxdepth=kwargs.get("maxdepth"))
        if not isinstance(path, list) and paths == [self._strip_protocol(path)]:
            return self.cat_file(paths[0])
        found: dict[str, Any] = {}
        for outcome in self._outcomes(paths):
            content = self._content(outcome)
            if isinstance(content, bytes) or on_error == "return":
                found[outcome.item] = content
            elif on_error == "raise":
                raise content
        return found

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Return the bytes of many ranges, of any objects, read many at a time.

        Args:
            paths: Of the objects, one for each range.
            starts: The first bytes; one number for all, or a list.
            ends: Those behind the last ones; likewise.
            max_gap: Bytes between two ranges of an object that are read and thrown away, for one
                request less.
            on_error: ``"return"`` errors in place of bytes, or ``"raise"`` the first one.
            **kwargs: Without effect.
        """
        starts = [starts] * len(paths) if not isinstance(starts, (list, tuple)) else starts
        ends = [ends] * len(paths) if not isinstance(ends, (list, tuple)) else ends
        if not len(paths) == len(starts) == len(ends):
            raise ValueError(f"{len(paths)} paths, {len(starts)} starts, {len(ends)} ends")
        sizes: dict[str, int] = {}
        made = [self._part_or_error(*one, sizes) for one in zip(paths, starts, ends, strict=True)]
        parts = [one for one in made if isinstance(one, Part)]
        counters = self._shared_counters.of_this_process()
        read = iter(read_scattered(parts, self.concurrency, max_gap, counters))
        results = [next(read) if isinstance(one, Part) else one for one in made]
        errors = (one for one in results if isinstance(one, Exception))
        if on_error == "raise" and (error := next(errors, None)):
            raise error
        return results

    def get_file(
        self,
        rpath: str,
        lpath: Any = None,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Copy an object to a local file, which has its name once it is whole.

        Args:
            rpath: Of the object.
            lpath: The local path, or an open file.
            callback: Is told of the bytes.
            outfile: An open file, instead of `lpath`.
            **kwargs: Without effect.
        """
        target = outfile if outfile is not None else lpath
        with self._folder_named(rpath):
            file = open_object(self.request_for(rpath))
            if isfilelike(target):
                with file:
                    pour(file, size_of(file), target, callback)
            else:
                save(file, size_of(file), target, callback)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects to local files, many at a time.

        Args:
            rpath: A path, a pattern or a list of them.
            lpath: Where to, as in fsspec: a slash at its end, or a folder that is there, means in
                that folder.
            recursive: Copy all that is in folders.
            callback: Is told of the files.
            maxdepth: Levels of folders.
            **kwargs: Without effect.
        """
        plan = TransferPlan(self)
        source = plan.literal(rpath)
        pairs = plan.pairs_of(AbstractFileSystem.get, source, lpath, recursive, maxdepth)
        callback.set_size(len(pairs))
        targets = iter([target for _, target in pairs])
        with BackgroundPool(self.concurrency) as pool:
            writes: list[Future] = []
            for outcome in self._outcomes([source for source, _ in pairs]):
                writes.append(pool.submit(self._save_one, outcome, next(targets), callback))
                # Those that are open hold memory and connections.
                if len(writes) > 2 * self.concurrency:
                    writes.pop(0).result()
            for write in writes:
                write.result()

    def _save_one(self, outcome: Outcome[str], target: str, callback: Callback) -> None:
        with callback.branched(outcome.item, target) as child:
            file = outcome.result()
            save(file, size_of(file), target, child)
        callback.relative_update(1)

    def _outcomes(self, paths: Sequence[str]) -> Iterator[Outcome[str]]:
        """Yield every object, open, ahead of the consumer."""
        options = ReadOptions(concurrency=self.concurrency)
        counters = self._shared_counters.of_this_process()
        with closing(prefetch(paths, self.request_for, options, counters)) as outcomes:
            yield from outcomes

    def _content(self, outcome: Outcome[str]) -> bytes | AISPipeError:
        try:
            with outcome.result() as file:
                return file.read()
        except (ObjectNotFoundError, ClusterError) as error:
            return self._folder_error(outcome.item, error)
        except AISPipeError as error:
            return error

    def _part_or_error(
        self, path: str, start: int | None, end: int | None, sizes: dict[str, int]
    ) -> Part | AISPipeError:
        try:
            return self._part(path, start, end, sizes)
        except AISPipeError as error:
            return error

    def _part(
        self, path: str, start: int | None, end: int | None, sizes: dict[str, int] | None = None
    ) -> Part:
        """Return a range in bytes; the object's size is asked for only where it is needed."""
        request = self.request_for(path)
        begin, stop = start or 0, end
        if begin < 0 or stop is None or stop < 0:
            sizes = {} if sizes is None else sizes
            size = sizes.setdefault(path, -1)
            if size < 0:
                size = sizes[path] = ask_properties(request).size
            begin = max(begin + size, 0) if begin < 0 else begin
            stop = size if stop is None else stop + size if stop < 0 else stop
        return Part(request, begin, max(stop, begin))

    @contextmanager
    def _folder_named(self, path: str) -> Iterator[None]:
        """Say so, inside the block, where what cannot be read is a folder."""
        try:
            yield
        except (ObjectNotFoundError, ClusterError) as error:
            raise self._folder_error(path, error) from None

    def _folder_error(self, path: str, error: AISPipeError) -> AISPipeError:
        """Return what to raise where an object cannot be read: it may be a folder.

        AIStore answers 500 for what is a folder on its disks, also for one that is left over.
        """
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR):
            return error
        try:
            if self.folder_at(path).is_there():
                return IsFolderError(f"{path!r} is a folder, with objects in it: read these")
            ask_properties(self.request_for(path))
        except FileNotFoundError as missing:
            return cast("AISPipeError", missing)
        return error

    def _counting(self) -> Any:
        return counting(self._shared_counters.of_this_process())
