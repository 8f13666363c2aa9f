"""The file of a shard index: its format, its checks, and where it lies while it is in use.

A file has these parts, one after another: eight bytes that say what it is; a digest of all that
follows, 16 bytes; the lengths of the header and of the manifest's file, 8 bytes each; the header,
JSON padded to a multiple of 8; the columns, see `Columns`; what tells each shard from another
one of its name, as lines; the keys, as one text; the manifest of the shards. Numbers are in this
machine's byte order, which the header tells, so that the file is used as it is, mapped into
memory: 28 bytes for a sample, and its key.
"""

from __future__ import annotations

import hashlib
import json
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from aisdatapipes.errors import ShardIndexError
from aisdatapipes.processes.shared_file import SharedFile

__all__ = ["ENCODING", "Columns", "IndexFile", "check_index", "pack_index"]

# As the tar reader decodes names: any bytes go in and come out.
ENCODING = ("utf-8", "surrogateescape")

_MAGIC = b"AISshidx"
_VERSION = 1
_DIGEST_BYTES = 16
_DIGESTED = len(_MAGIC) + _DIGEST_BYTES
_PREAMBLE = _DIGESTED + 16


@dataclass
class Columns:
    """What an index has of all samples, in the order of the shards.

    Attributes:
        firsts: Of each shard, the number of its first sample; and at the end that of all.
        begins: Of each sample, the byte of its shard at which its first member begins.
        ends: The byte behind its last member.
        key_ends: Where its key ends in the text of keys.
        part_samples: Numbers of the samples that have members apart from the others, in order;
            once for each place.
        part_begins: The byte at which such members begin.
        part_ends: The byte behind them.
        kinds: Of each sample, the number of its extensions in the header's list.
    """

    firsts: array[int] = field(default_factory=lambda: array("q", [0]))
    begins: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    key_ends: array[int] = field(default_factory=lambda: array("q"))
    part_samples: array[int] = field(default_factory=lambda: array("q"))
    part_begins: array[int] = field(default_factory=lambda: array("q"))
    part_ends: array[int] = field(default_factory=lambda: array("q"))
    kinds: array[int] = field(default_factory=lambda: array("I"))


_TYPECODES = {name: getattr(Columns(), name).typecode for name in Columns.__dataclass_fields__}


def pack_index(
    columns: Columns,
    extensions: Sequence[Sequence[str]],
    versions: Sequence[str],
    keys: bytes | bytearray,
    manifest: bytes | memoryview,
) -> bytes:
    """Return the bytes of a file.

    Args:
        columns: Of the samples.
        extensions: Those that a sample may have, all together; samples have their numbers.
        versions: What tells each shard from another one of its name; no line breaks.
        keys: Of all samples, without anything between them.
        manifest: The file of the shards' manifest.
    """
    arrays = {name: getattr(columns, name) for name in _TYPECODES}
    lines = "\n".join(versions).encode()
    header = {
        "version": _VERSION,
        "byte_order": sys.byteorder,
        "lengths": {name: len(one) for name, one in arrays.items()},
        "version_bytes": len(lines),
        "key_bytes": len(keys),
        "extensions": [list(one) for one in extensions],
        "fingerprint": _digest(*arrays.values(), lines, keys).hexdigest(),
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    lengths = array("q", [len(text), len(manifest)])
    parts = [lengths, text, *arrays.values(), lines, keys, manifest]
    return b"".join([_MAGIC, _digest(*parts).digest(), *parts])


def check_index(data: bytes, origin: str) -> None:
    """Make sure that a file is an index as it was written.

    Args:
        data: The bytes of the file.
        origin: What to call it in errors.

    Raises:
        ShardIndexError: It is none, was cut, was changed, or is of another version or byte order.
    """
    view = memoryview(data)
    if view[: len(_MAGIC)] != _MAGIC:
        raise _error(origin, "is not one")
    if view[len(_MAGIC) : _DIGESTED] != _digest(view[_DIGESTED:]).digest():
        raise _error(origin, "was cut or changed after it was written")
    _read_header(view, origin)


class IndexFile:
    """An index's file in use, mapped into memory: processes that use it share its pages.

    Copies are this object itself, and a child that multiprocessing starts gets the open file.
    Only a pickle for anybody else holds the content.

    Args:
        file: The file.

    Attributes:
        data: Its bytes.
        columns: What it has of the samples; views of the bytes.
        extensions: Those that a sample may have, all together.
        fingerprint: Hexadecimal digest of shards' versions and samples.

    Raises:
        ShardIndexError: It is of another version or byte order.
    """

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        self.data = file.mapped(file.size).toreadonly()
        header, at = _read_header(self.data, "that was handed over")
        self.columns, at = _columns(self.data, header["lengths"], at)
        end = at + header["version_bytes"]
        self._lines, at = self.data[at:end], end
        end = at + header["key_bytes"]
        self.keys, self._manifest = self.data[at:end], self.data[end:]
        self.extensions = [tuple(one) for one in header["extensions"]]
        self.fingerprint: str = header["fingerprint"]

    def key(self, sample: int) -> str:
        """Return the key of a sample."""
        ends = self.columns.key_ends
        return str(self.keys[ends[sample - 1] if sample else 0 : ends[sample]], *ENCODING)

    def versions(self) -> list[str]:
        """Return what tells each shard from another one of its name; empty if nothing does."""
        return str(self._lines, "utf-8").split("\n")[: len(self.columns.firsts) - 1]

    def manifest(self) -> bytes:
        """Return the file of the shards' manifest."""
        return bytes(self._manifest)

    def __copy__(self) -> IndexFile:
        return self

    def __deepcopy__(self, memo: object) -> IndexFile:
        return self

    def __reduce__(self) -> tuple[type[IndexFile], tuple[SharedFile]]:
        return IndexFile, (self._file,)


def _columns(data: memoryview, lengths: dict[str, int], at: int) -> tuple[Columns, int]:
    views = {}
    for name, typecode in _TYPECODES.items():
        end = at + lengths[name] * array(typecode).itemsize
        views[name], at = data[at:end].cast(typecode), end
    return Columns(**views), at


def _read_header(view: memoryview, origin: str) -> tuple[dict, int]:
    end = _PREAMBLE + view[_DIGESTED : _DIGESTED + 8].cast("q")[0]
    header = json.loads(bytes(view[_PREAMBLE:end]))
    made_for = (header["version"], header["byte_order"])
    if made_for != (_VERSION, sys.byteorder):
        raise _error(origin, f"is of version {made_for}, not {(_VERSION, sys.byteorder)}")
    return header, end


def _digest(*buffers: array | memoryview | bytes | bytearray) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for buffer in buffers:
        digest.update(buffer)
    return digest


def _error(origin: str, reason: str) -> ShardIndexError:
    return ShardIndexError(
        f"cannot use the shard index {origin}: it {reason}; build and save it again"
    )
