"""Tar: the members of a tar stream, read forward, and the samples that they make up.

Most members of most shards are files with a plain header. Those are read several times faster
than `tarfile` does it; for everything else the formats ustar, pax and GNU allow there are the
modules `extensions` and `sparse`. What a member announces is never allocated before it is
there, and what it may expand to is limited.

A tar ends at its mark, two blocks of zeros. One that stops without it is cut, wherever it
stops, also between two members: that is what a broken upload looks like. Behind the mark there
may be more zeros, and then another tar: ``cat a.tar b.tar`` makes one shard of two.

Example:
    >>> import io, tarfile
    >>> file = io.BytesIO()
    >>> with tarfile.open(fileobj=file, mode="w") as tar:
    ...     for name in ["train/0001.jpg", "train/0001.cls"]:
    ...         tar.addfile(tarfile.TarInfo(name))
    >>> reader = TarReader(io.BytesIO(file.getvalue()))
    >>> list(group_samples(reader.files(), "ais://imagenet/0.tar"))
    [Sample(key='train/0001', files={'jpg': b'', 'cls': b''}, end=1024)]
"""

from aisdatapipes.tar.buffer import SupportsRead
from aisdatapipes.tar.grouping import Sample, group_samples, key_of
from aisdatapipes.tar.headers import TarMember
from aisdatapipes.tar.one_sample import sample_files
from aisdatapipes.tar.reader import File, TarReader

__all__ = [
    "File",
    "Sample",
    "SupportsRead",
    "TarMember",
    "TarReader",
    "group_samples",
    "key_of",
    "sample_files",
]
