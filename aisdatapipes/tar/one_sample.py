"""One sample: the files of a part of a tar that has the members of a known key."""

from __future__ import annotations

from io import BytesIO

from aisdatapipes.client.settings import Settings
from aisdatapipes.errors import BadArchiveError
from aisdatapipes.tar.grouping import key_of
from aisdatapipes.tar.headers import BLOCK_BYTES, escaped, plain_file
from aisdatapipes.tar.reader import TarReader

__all__ = ["sample_files"]

_END_MARK = bytes(2 * BLOCK_BYTES)


def sample_files(
    piece: bytes,
    begin: int,
    end: int,
    key: str,
    url: str = "",
    max_member_bytes: int = Settings.max_member_bytes,
) -> dict[str, bytes]:
    """Return the contents of a sample by extension, from whole members of a plain tar.

    Members of other keys, or of none, are left out. In the common case nothing is copied but the
    contents, and no reader is made.

    Args:
        piece: Bytes of the tar.
        begin: Where in the piece the first member begins, with its extended headers.
        end: Where the last one ends.
        key: Of the sample.
        url: The shard, for messages.
        max_member_bytes: See `TarReader`.

    Raises:
        BadArchiveError: These are no members, or one is a link, or comes twice.
        CutArchiveError: The last member goes on behind the end.

    Example:
        >>> import tarfile
        >>> member = tarfile.TarInfo("a/1.SEG.png").tobuf()
        >>> sample_files(member, 0, len(member), "a/1")
        {'seg.png': b''}
    """
    files: dict[str, bytes] = {}
    stem, at = f"{key}.", begin
    is_usual = not key.startswith("__")  # such names may belong to no sample
    while is_usual and at < end:
        file = plain_file(piece, at)
        if file is None:
            break
        name, first, last, at = file
        extension = name[len(stem) :].lower()
        if not extension or "/" in extension or extension in files or not name.startswith(stem):
            break
        files[extension] = piece[first:last]
    else:
        if is_usual and at == end:
            return files
    return _read(piece[begin:end], key, url, max_member_bytes)


def _read(tar: bytes, key: str, url: str, max_member_bytes: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    reader = TarReader(BytesIO(tar + _END_MARK), url, max_member_bytes=max_member_bytes)
    for name, content, _ in reader.files():
        if key_of(name) != key:
            continue
        extension = name[len(key) + 1 :].lower()
        if extension in files:
            raise BadArchiveError(
                f"{name!r} in {escaped(url)} is one more {extension!r} of sample {key!r}: rename it"
            )
        files[extension] = content
    return files
