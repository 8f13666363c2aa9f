"""The file of a shard index: what is in it, and where it lies while it is in use.

It is a packed file. Behind the header it has these parts: the columns, see `Columns`; what tells
each shard from another one of its name, as lines; the keys, as one text; the manifest of the
shards. That is 28 bytes for a sample, and its key.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from aisdatapipes.errors import ShardIndexError
from aisdatapipes.manifests.packed_file import MappedFile, PackedFormat, digest_of
from aisdatapipes.processes.shared_file import SharedFile

__all__ = ["ENCODING", "INDEX", "Columns", "IndexFile", "pack_index"]

# As the tar reader decodes names: any bytes go in and come out.
ENCODING = ("utf-8", "surrogateescape")

INDEX = PackedFormat(b"AISshidx", 1, "shard index", ShardIndexError)


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
        "lengths": {name: len(one) for name, one in arrays.items()},
        "version_bytes": len(lines),
        "key_bytes": len(keys),
        "extensions": [list(one) for one in extensions],
        "fingerprint": digest_of(*arrays.values(), lines, keys).hexdigest(),
    }
    return INDEX.pack(header, *arrays.values(), lines, keys, manifest)


class IndexFile(MappedFile):
    """An index's file in use.

    Args:
        file: The file.

    Attributes:
        columns: What it has of the samples; views of the bytes.
        extensions: Those that a sample may have, all together.
        fingerprint: Hexadecimal digest of shards' versions and samples.

    Raises:
        ShardIndexError: It is of another version or byte order.
    """

    def __init__(self, file: SharedFile) -> None:
        super().__init__(file)
        header, at = INDEX.header_of(self.data)
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


def _columns(data: memoryview, lengths: dict[str, int], at: int) -> tuple[Columns, int]:
    views = {}
    for name, typecode in _TYPECODES.items():
        end = at + lengths[name] * array(typecode).itemsize
        views[name], at = data[at:end].cast(typecode), end
    return Columns(**views), at
