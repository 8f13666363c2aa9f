"""Uploads: files that are written, one or many at a time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK, Callback

from aisdatapipes.errors import AlreadyExistsError
from aisdatapipes.filesystem.transaction import AISTransaction
from aisdatapipes.filesystem.transfers import TransferPlan, at_a_time
from aisdatapipes.filesystem.tree import FolderTree
from aisdatapipes.filesystem.writable_file import WritableFile
from aisdatapipes.writing.put import put_object
from aisdatapipes.writing.stored import is_there

__all__ = ["Uploads"]

_PIECE_BYTES = 2**20


class Uploads(FolderTree):
    """A filesystem whose files can be written."""

    transaction_type = AISTransaction
    blocksize: int
    concurrency: int

    def open_for_writing(
        self, path: str, mode: str, block_size: int | None, *, autocommit: bool
    ) -> WritableFile:
        """Open an object for writing; see `WritableFile`.

        Raises:
            FileExistsError: The mode is ``"xb"``, and there is one.
        """
        must_be_new = "x" in mode
        if must_be_new:
            self._check_new(path)
        content = b""
        if "a" in mode and self.isfile(path):
            content = cast("bytes", self.cat_file(path))
        return WritableFile(
            self.request_to_write(path),
            block_size=block_size or self.blocksize,
            autocommit=autocommit,
            must_be_new=must_be_new,
            content=content,
            fs=self,
            path=path,
            mode=mode,
        )

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write an object by one request, which replaces an old one as a whole.

        Args:
            path: Of the object.
            value: Its bytes.
            mode: ``"create"`` for a new object only. That is checked before it is written: of two
                who create it at the same time, both may succeed.
            **kwargs: Without effect.

        Raises:
            FileExistsError: It should be new, and is not.
        """
        request = self.request_to_write(path)
        if mode == "create":
            self._check_new(path)
        if self._intrans:
            super().pipe_file(path, value)
        else:
            content = memoryview(value).cast("B")
            put_object(request, content, len(content))

    def pipe(self, path: Any, value: Any = None, **kwargs: Any) -> None:
        """Write one object, or several, some at a time.

        Args:
            path: Of the object, or a dictionary of bytes by path.
            value: The bytes, for a single one.
            **kwargs: See `pipe_file`.
        """
        if isinstance(path, str):
            self.pipe_file(path, value, **kwargs)
            return
        if not isinstance(path, Mapping):
            raise TypeError(
                f"pipe takes a path, or a dictionary by path, not {type(path).__name__}"
            )
        at_a_time(lambda one: self.pipe_file(*one, **kwargs), path.items(), self._threads)

    def put_file(
        self,
        lpath: Any,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Copy a local file to an object, by one request if its size is known before.

        Args:
            lpath: The local file.
            rpath: Path of the object.
            callback: Is told of the bytes.
            mode: See `pipe_file`.
            **kwargs: Without effect.
        """
        if Path(lpath).is_dir():
            return  # folders are there with their first object
        if mode == "create":
            self._check_new(rpath)
        with Path(lpath).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            callback.set_size(size)
            # Pipes, devices and the files of /proc tell no size, and may have content.
            if self._intrans or not size:
                with self.open(rpath, "wb") as written:
                    shutil.copyfileobj(file, cast("Any", written), _PIECE_BYTES)
            else:
                put_object(self.request_to_write(rpath), file, size)
        callback.relative_update(size)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy local files to objects, some at a time.

        Args:
            lpath: A local path, a pattern or a list of them.
            rpath: Where to, as in fsspec: a slash at its end, or a folder that is there, means in
                that folder.
            recursive: Copy all that is in folders.
            callback: Is told of the files.
            maxdepth: Levels of folders.
            **kwargs: See `put_file`.
        """
        plan = TransferPlan(self)
        pairs = plan.pairs_of(AbstractFileSystem.put, lpath, rpath, recursive, maxdepth)
        callback.set_size(len(pairs))

        def put(pair: tuple[str, str]) -> None:
            with callback.branched(*pair) as child:
                self.put_file(*pair, callback=child, **kwargs)
            callback.relative_update(1)

        at_a_time(put, pairs, self._threads)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Write an empty object.

        Raises:
            NotImplementedError: There is one that should keep its content: AIStore changes no time.
        """
        if not truncate and self.exists(path):
            raise NotImplementedError("AIStore keeps the time that an object was written")
        self.pipe_file(path, b"", **kwargs)

    @property
    def _threads(self) -> int:
        # A transaction notes its files one after the other.
        return 1 if self._intrans else self.concurrency

    def _check_new(self, path: str) -> None:
        if is_there(self.request_to_write(path)):
            raise AlreadyExistsError(f"there is an object {path!r} already")
