"""`AISFileSystem`: AIStore's buckets as a filesystem of fsspec."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, cast

from fsspec.compression import compr
from fsspec.core import get_compression

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import IsFolderError
from aisdatapipes.filesystem.changes import Changes
from aisdatapipes.filesystem.compressed_file import CompressedFile
from aisdatapipes.filesystem.contents import Contents
from aisdatapipes.filesystem.instances import Token, public_options
from aisdatapipes.filesystem.parts import BLOCK_BYTES
from aisdatapipes.filesystem.uploads import Uploads
from aisdatapipes.filesystem.writable_file import WritableText
from aisdatapipes.metrics.counters import SharedCounters

__all__ = ["AISFileSystem"]

_OF_FSSPEC = {
    *("asynchronous", "loop", "use_listings_cache", "listings_expiry_time", "max_paths"),
    *("auto_mkdir", "default_block_size", "default_cache_type", "default_fill_cache"),
}
"""Options of filesystems in general, which libraries give to any; none is of use here."""
_OF_TEXTS = ("encoding", "errors", "newline")

_Path = str | os.PathLike[str]


class AISFileSystem(Contents, Uploads, Changes):
    """The buckets of an AIStore cluster, for every library that reads and writes by fsspec.

    It is what ``ais://`` means to fsspec, and so to pandas, pyarrow, Hugging Face, zarr, Dask,
    Lightning and others; the arguments are their ``storage_options``. A path is
    ``ais://bucket/name``, with or without the scheme; folders are what names have before a slash,
    and are there as long as an object is in them.

    Instances of the same arguments are one, for each thread. They hold no connection, and may be
    pickled, forked and shared by threads. Nothing that was listed is kept.

    Args:
        endpoint: Address of the cluster; default ``$AIS_ENDPOINT``.
        provider: Whose buckets: ``"ais"``, or ``"aws"``, ``"gcp"``, ``"azure"``, ``"oci"`` for
            those of a cloud behind the cluster.
        token: See `Settings`, as for the next four. It is shown nowhere, and not in `to_json`.
        token_file: File with the token.
        ca_cert: File with the certificate of the cluster's authority.
        client_cert: Files with the certificate and key of this client.
        skip_verify: Do not check the cluster's certificate.
        settings: Time-outs, retries and all of the above; single arguments go before it.
        block_size: Most bytes that an open file reads ahead, and bytes of a part that it writes;
            0 for the default.
        concurrency: Most requests at a time.
        **storage_options: fsspec's own, as ``skip_instance_cache``.

    Raises:
        EndpointError: There is no endpoint, or it is no address of an HTTP server.
        InvalidURLError: AIStore knows no such provider.
        TypeError: Nobody knows an argument.

    Example:
        >>> import fsspec
        >>> with fsspec.open("ais://caltech256/notes/today.txt", "w") as file:
        ...     _ = file.write("five images")
        >>> fs = fsspec.filesystem("ais")
        >>> fs.cat("caltech256/notes/today.txt")
        b'five images'
        >>> fs.rm("caltech256/notes", recursive=True)
        >>> sorted(fs.ls("caltech256", detail=False))[0]
        'caltech256/002.american-flag'
    """

    def __init__(
        self,
        endpoint: str | None = None,
        provider: str = "ais",
        token: str | Token | None = None,
        token_file: _Path | None = None,
        ca_cert: _Path | None = None,
        client_cert: tuple[_Path, _Path] | None = None,
        skip_verify: bool = False,
        settings: Settings | None = None,
        block_size: int = BLOCK_BYTES,
        concurrency: int = 8,
        **storage_options: Any,
    ) -> None:
        # `InstanceCache` has put what the others say into settings, and the token by itself.
        if unknown := sorted(storage_options.keys() - _OF_FSSPEC):
            raise TypeError(
                f"AISFileSystem takes no {', '.join(unknown)}: see help(AISFileSystem) for what it "
                "takes"
            )
        super().__init__(**storage_options)
        self.endpoint, self.provider = cast("str", endpoint), provider
        secret = cast("Token", token).secret if token else None
        self.settings = replace(settings or Settings(), token=secret)
        # 0 is what Hugging Face gives to filesystems for those of HTTP, which stream then.
        self.blocksize, self.concurrency = block_size or BLOCK_BYTES, concurrency
        if self.blocksize < 1 or concurrency < 1:
            raise ValueError("block_size and concurrency must be 1 or more")
        self._shared_counters = SharedCounters()

    @property
    def fsid(self) -> str:
        """Address of the cluster and provider: what the paths belong to."""
        return f"ais-{self.provider}-{self.endpoint}"

    def with_concurrency(self, concurrency: int) -> AISFileSystem:
        """Return the same filesystem with another number of requests at a time."""
        return type(self)(**{**self.storage_options, "concurrency": concurrency})

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Any = None,
        **kwargs: Any,
    ) -> Any:
        if mode == "rb":
            return self.open_for_reading(path, block_size)
        if mode not in ("wb", "xb", "ab"):
            raise ValueError(f"mode is {mode!r}: an object is open for 'rb', 'wb', 'xb' or 'ab'")
        return self.open_for_writing(path, mode, block_size, autocommit=autocommit)

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: Any = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open an object as a file; see `ReadableFile` and `WritableFile`.

        Args:
            path: Of the object.
            mode: ``r``, ``w``, ``x`` (a new one only) or ``a``, with ``b`` for bytes.
            block_size: Instead of that of the filesystem.
            cache_options: Without effect.
            compression: As in fsspec.
            **kwargs: ``encoding``, ``errors`` and ``newline`` of texts; ``autocommit=False``
                writes nothing before ``commit()``.

        Raises:
            FileNotFoundError: There is no such object, or no bucket to write to.
            FileExistsError: The mode is ``x``, and there is one.
            IsADirectoryError: It is a folder.
        """
        if isinstance(path, str) and path.endswith("/"):
            raise IsFolderError(f"{path!r} is a folder: open what is in it")
        if "r" in mode or ("b" in mode and compression is None):
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        texts = {name: kwargs.pop(name) for name in _OF_TEXTS if name in kwargs}
        binary = mode.replace("t", "").replace("b", "") + "b"
        file: Any = super().open(path, binary, block_size, cache_options, **kwargs)
        if kind := get_compression(os.fspath(path), compression):
            file = CompressedFile(compr[kind](file, mode=mode[0]), file)
        return file if "b" in mode else WritableText(file, **texts)

    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]:
        """Return what `from_dict` makes this filesystem of again, without the token in any case.

        So ``to_json`` does: what reads it has to have a token of its own, as by a token file.
        """
        kind = type(self)
        named = {"cls": f"{kind.__module__}:{kind.__name__}", "protocol": "ais", "args": ()}
        return {**named, **public_options(self.storage_options)}
