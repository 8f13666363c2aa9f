"""Changes: files that are copied, moved and removed, one or many at a time, and buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from glob import has_magic
from typing import Any

from fsspec import AbstractFileSystem

from aisdatapipes.errors import (
    AlreadyExistsError,
    BucketNotFoundError,
    InvalidURLError,
    IsFolderError,
    NotEmptyError,
    ObjectNotFoundError,
)
from aisdatapipes.filesystem.transfers import TransferPlan, at_a_time
from aisdatapipes.filesystem.tree import FolderTree
from aisdatapipes.urls import ParsedURL
from aisdatapipes.writing.changes import (
    copy_object,
    create_bucket,
    delete_object,
    delete_objects,
    destroy_bucket,
)

__all__ = ["Changes"]

_SOME, _MANY = 50, 2000  # from how many objects on a job of the cluster removes them


class Changes(FolderTree):
    """A filesystem whose files and buckets come and go."""

    concurrency: int

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object, in the cluster.

        Raises:
            FileNotFoundError: There is none.
        """
        if self._strip_protocol(path1) != self._strip_protocol(path2):
            copy_object(self.request_for(path1), self.request_to_write(path2))

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects, in the cluster, some at a time.

        Args:
            path1: A path, a pattern or a list of them.
            path2: Where to, as in fsspec: a slash at its end, or a folder that is there, means in
                that folder.
            recursive: Copy all that is in folders.
            maxdepth: Levels of folders.
            on_error: ``"ignore"`` objects that are gone meanwhile; default ``"raise"``.
            **kwargs: Without effect.
        """
        self._copy(path1, path2, recursive, maxdepth, is_strict=on_error != "ignore")

    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move objects: copy them, and then remove those that were copied, and nothing else.

        Args:
            path1: A path, a pattern or a list of them.
            path2: Where to, as in `copy`.
            recursive: Move all that is in folders.
            maxdepth: Levels of folders.
            **kwargs: Without effect.
        """
        moved = self._copy(path1, path2, recursive, maxdepth, is_strict=True)
        # An object that was moved onto itself has to stay.
        self._remove([source for source, target in moved if source != target])

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            FileNotFoundError: There is none.
            IsADirectoryError: It is a folder.
        """
        try:
            delete_object(self.request_for(path))
        except ObjectNotFoundError:
            if self.isdir(path):
                raise IsFolderError(
                    f"{path!r} is a folder, with objects in it: rm(…, recursive=True)"
                ) from None
            raise

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove objects, many at a time.

        Args:
            path: A path, a pattern or a list of them. What is there by the very name of a pattern
                is meant first.
            recursive: Remove all that is in folders; of a bucket, then the bucket itself.
            maxdepth: Levels of folders.

        Raises:
            FileNotFoundError: There is nothing.
            InvalidURLError: It is no path, but the cluster with all its buckets.
        """
        paths = path if isinstance(path, list) else [path]
        if not all(map(self._strip_protocol, paths)):
            raise InvalidURLError(f"cannot remove {path!r}: that is all buckets; name one")
        plan = TransferPlan(self)
        objects = plan.objects(path, recursive=recursive, maxdepth=maxdepth)
        self._remove(objects, missing_ok=recursive)
        named = [one for one in paths if not has_magic(one)]
        for one in named if recursive and maxdepth is None else ():
            if not self.url_for(one).name:
                self.rmdir(one)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a bucket. Folders need no making; their bucket has to be there.

        Raises:
            FileExistsError: There is such a bucket.
            FileNotFoundError: There is no bucket for a folder.
        """
        url = self.url_for(path)
        if url.name:
            self.makedirs(path, exist_ok=True)
        else:
            create_bucket(url, self.endpoint, self.settings)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Check that a folder can be: its bucket has to be there, and is never made here.

        Raises:
            FileExistsError: There is such a folder or bucket, and it may not be.
            FileNotFoundError: There is no such bucket.
        """
        path = self.plain(path)
        if not path:
            return
        try:
            is_there = self.folder_at(path).is_there() or not self.url_for(path).name
        except BucketNotFoundError as error:
            raise BucketNotFoundError(f"{error.message}; mkdir makes a bucket") from None
        if is_there and not exist_ok:
            raise AlreadyExistsError(f"there is {path!r} already: give exist_ok=True")

    def rmdir(self, path: str) -> None:
        """Remove an empty bucket; of folders, which are there as long as objects are, nothing.

        Raises:
            OSError: It is not empty; `rm` with ``recursive=True`` removes all that is in it.
            FileNotFoundError: There is no such bucket.
        """
        url = self.url_for(path)
        if self.folder_at(path).is_there():
            raise NotEmptyError(f"there are objects in {path!r}: rm(…, recursive=True)")
        if not url.name:
            destroy_bucket(url, self.endpoint, self.settings)

    def _copy(
        self, path1: Any, path2: Any, recursive: bool, maxdepth: int | None, *, is_strict: bool
    ) -> list[tuple[str, str]]:
        """Copy, and return the objects that were copied, by paths without a scheme."""
        plan = TransferPlan(self)
        source = plan.literal(path1)
        pairs = plan.pairs_of(AbstractFileSystem.copy, source, path2, recursive, maxdepth)
        plain = [(self.plain(source), self.plain(target)) for source, target in pairs]
        _check_apart(plain)

        def copy(pair: tuple[str, str]) -> None:
            try:
                self.cp_file(*pair)
            except FileNotFoundError:
                if is_strict:
                    raise

        at_a_time(copy, pairs, self.concurrency)
        return plain

    def _remove(self, paths: Sequence[str], *, missing_ok: bool = False) -> None:
        """Remove objects: some by requests, many by a job of the cluster for each bucket.

        A job takes no notice of those that are missing.
        """
        if len(paths) < (_SOME if missing_ok else _MANY):

            def remove(path: str) -> None:
                try:
                    self.rm_file(path)
                except FileNotFoundError:
                    if not missing_ok:
                        raise

            at_a_time(remove, paths, self.concurrency)
            return
        by_bucket: dict[ParsedURL, list[str]] = {}
        for url in map(self.url_for, paths):
            by_bucket.setdefault(replace(url, name=""), []).append(url.name)
        for bucket, names in by_bucket.items():
            delete_objects(bucket, names, self.endpoint, self.settings)


def _check_apart(pairs: Sequence[tuple[str, str]]) -> None:
    """Check that no copy replaces what another one reads or writes: some go at the same time."""
    sources = {source for source, target in pairs if source != target}
    source_of: dict[str, str] = {}
    for source, target in pairs:
        other = source_of.setdefault(target, source)
        if other != source:
            raise InvalidURLError(
                f"cannot copy both {other!r} and {source!r} to {target!r}: copy one of them"
            )
        if source != target and target in sources:
            raise InvalidURLError(
                f"cannot copy {source!r} to {target!r}, which is to be copied too: copy them one "
                "after the other"
            )
