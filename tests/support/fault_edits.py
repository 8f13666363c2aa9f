"""What can go wrong within a body that looks whole: more rules of a `FaultProxy`."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise

from typing_extensions import override

from support.fault_rules import Rule, Take


@dataclass(frozen=True, eq=False)
class _Edit(Rule):
    """Changes a body, which is held whole for it; one that is too short for it stays."""

    def _edited(self, body: bytes) -> bytes:
        raise NotImplementedError

    @override
    async def body(self, chunks: AsyncIterator[bytes], take: Take) -> AsyncIterator[bytes]:
        body = b"".join([chunk async for chunk in chunks])
        try:
            edited = self._edited(body)
        except (LookupError, ValueError):
            yield body
        else:
            yield edited if take() else body


@dataclass(frozen=True, eq=False)
class CorruptByte(_Edit):
    """Flip the lowest bit of one byte: that at `offset`, counted from where `text` begins."""

    offset: int = 0
    text: bytes = b""

    def _edited(self, body: bytes) -> bytes:
        changed = bytearray(body)
        changed[body.index(self.text) + self.offset] ^= 1
        return bytes(changed)


@dataclass(frozen=True, eq=False)
class EntryEdit(_Edit):
    """Changes the entries of a GetBatch answer; the tar stays well-formed."""

    matches: str = field(default="GET /v1/ml/moss", kw_only=True)

    def _edited(self, body: bytes) -> bytes:
        with tarfile.open(fileobj=BytesIO(body)) as tar:
            offsets = [member.offset for member in tar]
            offsets.append(tar.offset)  # where the end of the archive is marked
        entries = [body[start:end] for start, end in pairwise(offsets)]
        self._edit(entries)
        return b"".join([*entries, body[offsets[-1] :]])

    def _edit(self, entries: list[bytes]) -> None:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class DropEntry(EntryEdit):
    """Leave out the entry at `index`."""

    index: int = 0

    def _edit(self, entries: list[bytes]) -> None:
        del entries[self.index]


@dataclass(frozen=True, eq=False)
class SwapEntries(EntryEdit):
    """Exchange two entries."""

    first: int = 0
    second: int = 1

    def _edit(self, entries: list[bytes]) -> None:
        entries[self.first], entries[self.second] = entries[self.second], entries[self.first]


@dataclass(frozen=True, eq=False)
class EndEarly(EntryEdit):
    """End after so many entries, as the cluster does with ``cont_on_err=False``."""

    after_entries: int = 0

    def _edit(self, entries: list[bytes]) -> None:
        del entries[self.after_entries]  # raises where there are no more than that
        del entries[self.after_entries :]
