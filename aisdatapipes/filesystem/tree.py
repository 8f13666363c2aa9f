"""The tree: what is in the buckets, as files and folders."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime
from glob import has_magic
from operator import itemgetter
from typing import Any

from aisdatapipes.client.connection import client_for
from aisdatapipes.client.translation import translated_errors
from aisdatapipes.errors import ObjectNotFoundError
from aisdatapipes.filesystem.infos import Info, add_info, entry_info, folder_info, walk_infos
from aisdatapipes.filesystem.paths import BucketPaths
from aisdatapipes.reading.properties import ask_properties
from aisdatapipes.urls import ParsedURL

__all__ = ["FolderTree"]


class FolderTree(BucketPaths):
    """A filesystem that can be looked at."""

    def info(self, path: str, **kwargs: Any) -> Info:
        """Return what there is at a path.

        Of an object: ``name``, ``size`` in bytes, ``type`` ``"file"``, ``mtime`` and
        ``LastModified`` (to the second), ``ETag``, ``checksum`` and ``checksum_type``, ``version``
        and ``custom``; what the cluster does not know is None. Of a folder or bucket ``name``,
        ``size`` 0 and ``type`` ``"directory"``.

        Raises:
            FileNotFoundError: There is nothing.
            AISPipeError: The cluster does not answer, or refuses.
        """
        path = self.plain(path)
        if not path:
            return folder_info("")
        url = self.url_for(path)
        if not url.name:
            self.folder_at(path).is_there()  # or there is no bucket
            return folder_info(path)
        try:
            return self._object_info(path)
        except ObjectNotFoundError:
            if self.folder_at(path).is_there():
                return folder_info(path)
            raise

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is an object, a folder or a bucket.

        Raises:
            AISPipeError: The cluster does not answer, or refuses: that is no "no".
        """
        return self._type_of(path, **kwargs) is not None

    def isfile(self, path: str) -> bool:
        """Whether there is an object; raises as `exists`."""
        return self._type_of(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether there is a folder, with an object in it, or a bucket; raises as `exists`."""
        path = self.plain(path)
        if not path or not self.url_for(path).name:
            return self._type_of(path) == "directory"
        try:
            return self.folder_at(path).is_there()
        except FileNotFoundError:
            return False

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Return what is right in a folder, or the file itself, in the order of the names.

        Args:
            path: Folder, bucket or object; ``""`` for the buckets.
            detail: Return dictionaries with ``name``, ``size`` and ``type``, instead of paths.
            **kwargs: Without effect: nothing is cached here.

        Raises:
            FileNotFoundError: There is nothing.
        """
        path = self.plain(path)
        infos = self._level(path) if path else self._buckets()
        infos.sort(key=itemgetter("name"))
        return infos if detail else [info["name"] for info in infos]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return all that is below a folder, at any depth, by one listing.

        Args:
            path: Folder, bucket or object; ``""`` for all buckets.
            maxdepth: Levels to descend.
            withdirs: Return folders too, the first one itself.
            detail: Return a dictionary of what `ls` tells, by path.
            **kwargs: Without effect.
        """
        path = self.plain(path)
        if maxdepth is not None and maxdepth < 1:
            raise ValueError("maxdepth must be at least 1")
        found: dict[str, Info] = {}
        if not path and withdirs:
            found = {info["name"]: info for info in self._buckets()}  # also those that are empty
        for info in self._below(path) if path or maxdepth != 1 else ():
            add_info(found, info, path, maxdepth, withdirs=withdirs)
        if not found and self.isfile(path):
            found[path] = self.info(path)
        elif withdirs and path and (found or self.isdir(path)):
            found[path] = folder_info(path)
        ordered = dict(sorted(found.items()))
        return ordered if detail else list(ordered)

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: Any = "omit",
        **kwargs: Any,
    ) -> Generator[tuple[str, Any, Any], None, None]:
        """Yield every folder with what is right in it, as `os.walk` does, by one listing.

        Args:
            path: Where to begin.
            maxdepth: Levels to descend.
            topdown: A folder before those in it; taking one of these out of the list, or
                dictionary, then leaves it out.
            on_error: What to do where nothing is at `path`: ``"omit"`` it, ``"raise"``, or what to
                call with the error. A cluster that does not answer raises in any case.
            **kwargs: ``detail=True`` yields dictionaries of what `ls` tells, by name.
        """
        path = self.plain(path)
        detail = kwargs.pop("detail", False)
        try:
            found = self.find(path, maxdepth, withdirs=True, detail=True)
            if not found and path:
                self.info(path)  # which raises
        except FileNotFoundError as error:
            if on_error == "raise":
                raise
            if callable(on_error):
                on_error(error)
            return
        below: dict[str, dict[str, Info]] = {}
        for name, info in found.items():
            parent, _, last = name.rpartition("/")
            if name != path:
                below.setdefault(parent, {})[last] = info
            elif info["type"] == "file":
                below.setdefault(path, {})[""] = info
        yield from walk_infos(below, path, topdown=topdown, detail=detail)

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the bytes below a path, of all or by path, by one listing."""
        infos = self.find(path, maxdepth, withdirs=withdirs, detail=True, **kwargs)
        sizes = {name: info["size"] for name, info in infos.items()}
        return sum(sizes.values()) if total else sizes

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Return the paths that a pattern means; if there is something of that very name, that.

        So ``rm("q[1].txt")`` removes that one, and not ``q1.txt``.
        """
        if literal := self.literal_info(path):
            return {literal["name"]: literal} if kwargs.get("detail") else [literal["name"]]
        return super().glob(path, maxdepth, **kwargs)

    def literal_info(self, path: str) -> Info | None:
        """Return what there is by the very name of a pattern, None if there is nothing."""
        path = self.plain(path)
        if not has_magic(path) or not self.is_possible(path):
            return None
        try:
            return self.info(path)
        except FileNotFoundError:
            return None

    def checksum(self, path: str) -> int:
        """Return a number that changes with the content, and with the time that it was written."""
        return int(self.ukey(path), 16)

    def modified(self, path: str) -> datetime:
        """Return when an object was written, to the second.

        Raises:
            NotImplementedError: The cluster does not tell, as of a folder.
        """
        time = self.info(path).get("LastModified")
        if time is None:
            raise NotImplementedError(f"AIStore does not tell when {path!r} was written")
        return time

    def _object_info(self, path: str) -> Info:
        found = ask_properties(self.request_for(path))
        return {
            "name": path,
            "size": found.size,
            "type": "file",
            "mtime": found.mtime.timestamp() if found.mtime else None,
            "LastModified": found.mtime,
            "ETag": found.etag or found.checksum or None,
            "checksum": found.checksum or None,
            "checksum_type": found.checksum_type or None,
            "version": found.version or None,
            "custom": dict(found.custom),
        }

    def _type_of(self, path: str, **kwargs: Any) -> str | None:
        try:
            return self.info(path, **kwargs)["type"]
        except FileNotFoundError:
            return None

    def _level(self, path: str) -> list[Info]:
        folder = self.folder_at(path)
        infos = [entry_info(folder, name, size) for name, size in folder.level()]
        return infos or ([self._object_info(path)] if folder.url.name else [])

    def _buckets(self) -> list[Info]:
        everywhere = ParsedURL(self.provider, "*")
        with translated_errors(everywhere, self.endpoint, "list"):
            cluster = client_for(self.endpoint, self.settings).cluster()
            buckets = cluster.list_buckets(self.provider)
        urls = [
            ParsedURL(self.provider, one.name, "", one.namespace.uuid, one.namespace.name)
            if one.namespace
            else ParsedURL(self.provider, one.name)
            for one in buckets
        ]
        return [folder_info(url.bucket_url.partition("://")[2]) for url in urls]

    def _below(self, path: str) -> Iterator[Info]:
        """Yield every object below a path."""
        for top in [path] if path else [info["name"] for info in self._buckets()]:
            folder = self.folder_at(top)
            yield from (entry_info(folder, name, size) for name, size in folder.objects())
