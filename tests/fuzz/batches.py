"""Batches: answers of GetBatch that were changed on the way, from a real cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aistore.sdk import Bucket
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from aisdatapipes import Settings
from aisdatapipes.datapipes import IterableWrapper
from conftest import PutObject
from fuzz.hunting import soon
from support.fault_edits import EntryEdit
from support.faults import FaultProxy
from support.tars import member, pack

__all__ = ["broken_batches_lose_nothing"]

Edit = tuple[Any, ...]

_NAMES = [*(f"{number:02d}" for number in range(12)), "a b#?%", "d/" + "q" * 200, "ä", "__404__/x"]
_ENTRY = st.integers(0, len(_NAMES) - 1)
_EDITS = st.lists(
    st.tuples(st.just("drop"), _ENTRY)
    | st.tuples(st.just("swap"), _ENTRY, _ENTRY)
    | st.tuples(st.just("double"), _ENTRY, _ENTRY)
    | st.tuples(st.just("move"), _ENTRY, _ENTRY)
    | st.tuples(st.just("foreign"), _ENTRY, st.sampled_from([*_NAMES, "99", "../x", ""]))
    | st.tuples(st.just("missing"), _ENTRY, st.sampled_from([*_NAMES, "99"]))
    | st.tuples(st.just("header"), _ENTRY, st.integers(0, 511), st.integers(1, 255))
    | st.tuples(st.just("zeros"), _ENTRY)
    | st.tuples(st.just("garbage"), _ENTRY, st.binary(min_size=1, max_size=1100))
    | st.tuples(st.just("end"), _ENTRY),
    max_size=4,
)
_SETTINGS = Settings(
    max_retries=4, first_backoff_s=0.001, max_backoff_s=0.002, whole_object_bytes=2**20
)


@dataclass(frozen=True, eq=False)
class ChangeEntries(EntryEdit):
    """Change the entries of a batch in some ways, one after the other.

    Args:
        bucket: What the names of entries begin with.
        edits: What to do.
        share: How much of the answer to keep.
    """

    bucket: str
    edits: list[Edit]
    share: float = 1.0

    @override
    def _edited(self, body: bytes) -> bytes:
        edited = super()._edited(body)
        return edited[: int(self.share * len(edited))]

    @override
    def _edit(self, entries: list[bytes]) -> None:
        for kind, at, *how in self.edits:
            if at < len(entries):
                self._change(entries, kind, at, *how)

    def _change(self, entries: list[bytes], kind: str, at: int, *how: Any) -> None:
        entry = entries[at]
        if kind == "drop":
            del entries[at]
        elif kind == "swap" and how[0] < len(entries):
            entries[at], entries[how[0]] = entries[how[0]], entry
        elif kind == "double":
            entries.insert(how[0], entry)
        elif kind == "move":
            entries.insert(how[0], entries.pop(at))
        elif kind in ("foreign", "missing", "garbage"):
            entries.insert(at, self._added(kind, how[0]))
        elif kind == "header":
            changed = bytes([entry[how[0]] ^ how[1]])
            entries[at] = entry[: how[0]] + changed + entry[how[0] + 1 :]
        elif kind == "zeros":
            entries[at] = bytes(len(entry))
        elif kind == "end":
            entries[at:] = []

    def _added(self, kind: str, what: Any) -> bytes:
        if kind == "garbage":
            return what
        if kind == "missing":
            return _entry(f"__404__/{self.bucket}/{what}", b"")
        # Of another bucket, as the name with that of this one makes it the right one.
        return _entry(f"other/{what}", b"x" * 1000)


def _entry(name: str, content: bytes) -> bytes:
    return pack([member(name, content)])[:-1024]


def content_of(name: str) -> bytes:
    """Return what the object of a name holds, up to two blocks."""
    return f"{name} ".encode() * (100 + len(name)) if name != "00" else b""


def broken_batches_lose_nothing(
    proxy: FaultProxy, bucket: Bucket, put: PutObject
) -> Callable[[], None]:
    """Return the law: what comes is every object, once, right and in order."""
    for name in _NAMES:
        put(bucket, name, content_of(name))
    expected = [(name, content_of(name)) for name in _NAMES]

    @given(_EDITS, st.just(1.0) | st.floats(0, 1), st.sampled_from([1, 2, None]))
    def law(edits: list[Edit], share: float, times: int | None) -> None:
        urls = IterableWrapper([f"ais://{bucket.name}/{name}" for name in _NAMES])
        pipe = urls.load_files_by_ais(url=proxy.endpoint, settings=_SETTINGS)
        proxy.requests.clear()
        logging.disable(logging.ERROR)
        with soon(), proxy.rule(ChangeEntries(bucket.name, edits, share, times=times)):
            found = [(url.split("/", 3)[3], stream.read()) for url, stream in pipe]
        logging.disable(logging.NOTSET)
        assert found == expected

    return law
