"""The plan of the works that read and write files: by filesystems, one by one, by Ray."""

from __future__ import annotations

from typing import Any

from benchmarks.works import Bar, Reader, Work

__all__ = ["FILE_BARS", "FILE_READERS", "FILE_WORKS"]

_OURS, _S3FS, _MSC, _CURL = "AISFileSystem", "s3fs", "multi-storage-client", "curl"
_ONE_BY_ONE = "AISFileSystem, one by one"
_SDK = "SDK put_content"
_RAY, _OUR_RAY = "Ray's read_binary_files, ais://", "our read_ais"
_FEW: dict[str, Any] = {"data": "a third of the files"}
_KINDS: dict[str, Any] = {
    _OURS: {"kind": "ours", "options": {"protocol": "ais"}},
    _ONE_BY_ONE: {"kind": "ours", "options": {"protocol": "ais"}},
    _S3FS: {"options": {"protocol": "s3"}},
    _MSC: {"options": {"protocol": "msc"}},
}


def _reader(work: str, name: str, function: str, **others: Any) -> Reader:
    return Reader(work, name, f"files:{function}", **_KINDS[name], **others)


FILE_WORKS = (
    Work("F1", "cat of 3,000 small files", "files/s", "files", _S3FS),
    Work("F2", "One file of 1 GiB, by open", "MiB/s", "big file", _S3FS),
    Work("F3", "cat_ranges of 1,000", "ranges/s", "big file", _S3FS),
    Work("F4", "2 of 20 columns, by pyarrow", "rows/s", "table", _S3FS),
    Work("F5", "open and read, small files", "files/s", "files", _S3FS),
    Work("F6", "find of 100,000", "names/s", "names", _S3FS),
    Work("F7", "get of 1,000 small files", "files/s", "files", _S3FS),
    Work("F8", "cp -r of 1,000 small files", "files/s", "files", _ONE_BY_ONE),
    Work("F9", "One file of 256 MiB, written", "MiB/s", "written file", _SDK),
    Work("F10", "3,000 small files, by Ray Data", "files/s", "files", _RAY),
    Work("F11", "cp -r, answers 2 ms late", "files/s", "files", _ONE_BY_ONE, 0.002),
)

FILE_READERS = (
    *(_reader("F1", name, "cat") for name in (_S3FS, _MSC, _OURS)),
    *(_reader("F2", name, "stream", yields_items=False) for name in (_S3FS, _MSC, _OURS)),
    Reader("F2", _CURL, "limits:curl", "limit", yields_items=False),
    *(_reader("F3", name, "cat_ranges", data="ranges") for name in (_S3FS, _MSC, _OURS)),
    *(_reader("F4", name, "columns") for name in (_S3FS, _OURS)),
    *(_reader("F5", name, "open_each", **_FEW) for name in (_S3FS, _MSC, _OURS)),
    *(_reader("F6", name, "find") for name in (_S3FS, _MSC, _OURS)),
    *(_reader("F7", name, "get", **_FEW) for name in (_S3FS, _OURS)),
    _reader("F7", _ONE_BY_ONE, "get_one_by_one", **_FEW),
    _reader("F8", _OURS, "copy", yields_items=False, **_FEW),
    _reader("F8", _ONE_BY_ONE, "copy_one_by_one", yields_items=False, **_FEW),
    _reader("F11", _OURS, "copy", yields_items=False, **_FEW),
    _reader("F11", _ONE_BY_ONE, "copy_one_by_one", yields_items=False, **_FEW),
    Reader("F9", _SDK, "sdk_objects:write"),
    *(_reader("F9", name, "write") for name in (_S3FS, _OURS)),
    Reader("F10", _RAY, "ray_data:binary_files"),
    Reader("F10", _OUR_RAY, "ray_data:objects", "ours"),
)

FILE_BARS = (
    Bar("F1", _OURS, "rate", 10, (_S3FS,)),
    Bar("F1", _OURS, "rate", 5, (_MSC,)),
    Bar("F2", _OURS, "rate", 4, (_S3FS,)),
    Bar("F2", _OURS, "rate", 0.9, (_CURL,)),
    Bar("F3", _OURS, "rate", 2, (_S3FS,)),
    Bar("F4", _OURS, "rate", 8, (_S3FS,)),
    Bar("F5", _OURS, "rate", 4, (_S3FS,)),
    Bar("F6", _OURS, "rate", 5, (_S3FS,)),
    Bar("F7", _OURS, "rate", 2, (_ONE_BY_ONE,)),
    Bar("F8", _OURS, "rate", 2, (_ONE_BY_ONE,)),
    Bar("F9", _OURS, "rate", 2, (_SDK,)),
    Bar("F10", _OUR_RAY, "rate", 2, (_RAY,)),
    Bar("F11", _OURS, "rate", 2, (_ONE_BY_ONE,)),
)
