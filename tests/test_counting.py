"""Counting: as many samples and files as a reader finds, in shards of every kind and size."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISShardReader, Settings, errors
from aisdatapipes.metrics.counters import SharedCounters
from aisdatapipes.reading.options import ErrorPolicy
from aisdatapipes.reading.request import ObjectRequest
from aisdatapipes.shards.counting import CountOf, count_shards, readable
from aisdatapipes.tar import TarReader, group_samples
from conftest import PutObject
from support.faults import FaultProxy
from support.tars import member, pack, shard, sparse

Member = tuple[tarfile.TarInfo, bytes]

SMALL, BIG = 100, 30_000
"""Bytes of a file: so that 20 samples of two are far below 1 MiB, and above."""
WHOLE = 20


def members(size: int, folder: str = "train", **header: Any) -> list[Member]:
    """Return the members of 20 samples of two files, all in one folder."""
    stems = [f"{folder}/{number:04d}" for number in range(WHOLE)]
    names = [f"{stem}.{end}" for stem in stems for end in ("jpg", "cls")]
    return [member(name, b"x" * size, **header) for name in names]


def odd(name: str, **header: Any) -> Callable[[int], bytes]:
    """Return what makes a shard with one member more, behind its second sample."""

    def content(size: int) -> bytes:
        usual = members(size)
        return pack([*usual[:4], member(name, **header), *usual[4:]], tarfile.PAX_FORMAT)

    return content


def with_folders(size: int, tar_format: int = tarfile.GNU_FORMAT, **header: Any) -> bytes:
    """Return what ``tar cf x.tar data/train`` makes, with a folder for each sample."""
    folders = [member("data/train/", type=tarfile.DIRTYPE, **header)]
    for number in range(WHOLE):
        folder = f"data/train/{number:04d}"
        folders.append(member(f"{folder}/", type=tarfile.DIRTYPE, **header))
        folders += [member(f"{folder}/a.{end}", b"x" * size, **header) for end in ("jpg", "cls")]
    return pack(folders, tar_format).ljust(10_240, b"\0")


def with_global_header(size: int) -> bytes:
    """Return what ``git archive`` makes: the commit in a pax header for all members."""
    record = b"17 comment=abcde\n"
    info = tarfile.TarInfo("pax_global_header")
    info.type, info.size = tarfile.XGLTYPE, len(record)
    return info.tobuf() + record.ljust(512, b"\0") + pack(members(size))


def hidden(size: int) -> bytes:
    """Return two archives, the second as big as the directories that the first does not have."""
    names = [f"a/b/{number:04d}/c.jpg" for number in range(WHOLE)]
    return pack([member(name, b"x" * 2 * size) for name in names]) + pack([member("1.jpg", b"x")])


USUAL: dict[str, Callable[[int], bytes]] = {
    "ustar": lambda size: pack(members(size)),
    "blocks of 20": lambda size: pack(members(size)) + bytes(-len(pack(members(size))) % 10_240),
    "ends in zeros": lambda size: pack([*members(size), member("b/z.npy", bytes(5000))]),
    "pax headers": lambda size: pack(
        members(size, pax_headers={"mtime": "1.5"}), tarfile.PAX_FORMAT
    ),
    "folders": with_folders,
    "folders, pax headers": partial(
        with_folders, tar_format=tarfile.PAX_FORMAT, pax_headers={"mtime": "1.5"}
    ),
    "README": lambda size: pack([member("README", b"x"), *members(size)]),
}
"""Which are believed from their listing if they are big."""

UNUSUAL: dict[str, Callable[[int], bytes]] = {
    "global header": with_global_header,
    "FIFO": odd("train/fifo.pipe", type=tarfile.FIFOTYPE),
    "symbolic link": odd("train/0001.link", type=tarfile.SYMTYPE, linkname="0000.jpg"),
    "hard link": odd("train/0001.link", type=tarfile.LNKTYPE, linkname="train/0000.jpg"),
    "empty folder": odd("other/", type=tarfile.DIRTYPE),
    "empty file": odd("train/0001.txt"),
    "long name": lambda size: pack(
        [*members(size), member(f"train/{'x' * 300}.jpg", b"x")], tarfile.GNU_FORMAT
    ),
    "same name twice": lambda size: pack(members(size) + members(size)[-2:]),
    "same extension twice": lambda size: pack([*members(size), member("train/0019.JPG", b"x")]),
    "keys that come back": lambda size: pack(
        [*members(size)[:4], member("train/0000.txt", b"x"), *members(size)[4:]]
    ),
    "dot and slash": lambda size: pack([*members(size, "./train"), *members(size)]),
    "concatenated": lambda size: pack(members(size)) + pack(members(size, "more")),
    "concatenated, hidden": hidden,
    "cut": lambda size: pack(members(size))[: -(3 * size)],
    "cut between members": lambda size: pack(members(size))[: -(1024 + 512 + size + -size % 512)],
    "without end mark": lambda size: pack([*members(size), member("b/z.npy", bytes(5120))])[:-1024],
    "something behind the end": lambda size: pack(members(size)) + b"garbage",
    "garbage": lambda size: random.Random(1).randbytes(40 * size),
    "nothing": lambda _: b"",
    "gzip": lambda size: gzip.compress(
        pack([member(f"{n}.bin", random.Random(n).randbytes(2 * size)) for n in range(WHOLE)])
    ),
    "cut gzip": lambda size: gzip.compress(pack(members(size)))[:-50],
    "sparse": lambda size: sparse("gnu")[:-1024] + pack(members(size)),
}


class Counting:
    """Counts the shards of a bucket, through a proxy that counts the requests."""

    def __init__(self, bucket: Bucket, proxy: FaultProxy) -> None:
        self._bucket, self._proxy = bucket, proxy
        self.counters = SharedCounters()

    def __call__(
        self, sizes: dict[str, int], count_of: CountOf, policy: ErrorPolicy | None = None
    ) -> list[int]:
        """Return the counts of objects, whose sizes are known, or -1."""
        urls = [f"ais://{self._bucket.name}/{name}" for name in sizes]
        shards = [
            (url, partial(ObjectRequest.parse, url, self._proxy.endpoint, Settings()), size)
            for url, size in zip(urls, sizes.values(), strict=True)
        ]
        counts = count_shards(
            shards, count_of, policy or ErrorPolicy(), self.counters.of_this_process()
        )
        return list(array("q", counts))


@pytest.fixture
def counting(ais_bucket: Bucket, faults: FaultProxy) -> Counting:
    """What counts the shards of the bucket."""
    return Counting(ais_bucket, faults)


def as_read(content: bytes, count_of: CountOf) -> int:
    """Return how much a reader finds; ``~number`` where it finds a fault behind so much."""
    count = 0
    files = TarReader(io.BytesIO(content)).files()
    try:
        for _ in group_samples(files) if count_of == "samples" else files:
            count += 1
    except (errors.BadArchiveError, errors.CutArchiveError):
        return ~count
    return count


@pytest.mark.parametrize("count_of", ["samples", "files"])
@pytest.mark.parametrize("size", [SMALL, BIG], ids=["small", "big"])
def test_counts_are_what_a_reader_finds(
    ais_bucket: Bucket, put_object: PutObject, counting: Counting, size: int, count_of: CountOf
) -> None:
    """Whatever is in a shard, and also if its size is not known."""
    contents = {f"{name}.tar": make(size) for name, make in {**USUAL, **UNUSUAL}.items()}
    for name, content in contents.items():
        put_object(ais_bucket, name, content)
    expected = {name: as_read(content, count_of) for name, content in contents.items()}
    sizes = {name: len(content) for name, content in contents.items()}
    assert expected["pax headers.tar"] == WHOLE * (1 if count_of == "samples" else 2)
    assert dict(zip(sizes, counting(sizes, count_of), strict=True)) == expected
    unknown = dict.fromkeys(sizes, -1)
    assert dict(zip(sizes, counting(unknown, count_of), strict=True)) == expected


@pytest.mark.parametrize("kind", USUAL)
def test_a_big_shard_is_not_sent(
    ais_bucket: Bucket, put_object: PutObject, counting: Counting, faults: FaultProxy, kind: str
) -> None:
    """A listing and two ranges are enough for one of the usual kinds; a small one is read."""
    for size, listings, gets in ((SMALL, 0, 1), (BIG, 1, 2)):
        content = USUAL[kind](size)
        put_object(ais_bucket, "0.tar", content)
        faults.requests.clear()
        before = counting.counters.total().requests
        counting({"0.tar": len(content)}, "samples")
        assert faults.count("GET /v1/buckets/") == listings
        assert faults.count("GET /v1/objects/.*pid=") == gets
        assert counting.counters.total().requests - before == gets


def test_a_shard_that_is_gone_or_was_replaced(
    ais_bucket: Bucket, put_object: PutObject, counting: Counting
) -> None:
    """Nothing is there, or another shard than was listed: what is there now counts."""
    assert counting({"gone": 10, "gone, big": 2**21, "gone too": -1}, "samples") == [~0] * 3
    put_object(ais_bucket, "0.tar", shard(0, 7))
    put_object(ais_bucket, "1.tar", pack(members(BIG)))
    assert counting({"0.tar": 2**21, "1.tar": 2**20 + 1}, "samples") == [7, WHOLE]


def test_a_bucket_that_is_gone(counting: Counting, ais_bucket: Bucket) -> None:
    """It says nothing of its shards, so it raises."""
    ais_bucket.delete()
    with pytest.raises(errors.BucketNotFoundError):
        counting({"0.tar": 10}, "samples")
    ais_bucket.create()


def give(content: bytes | None, url: str, error: errors.AISPipeError) -> bytes | None:  # noqa: ARG001
    """Have this content in place of any shard."""
    return content


def test_what_a_function_gives_counts(
    ais_bucket: Bucket, put_object: PutObject, counting: Counting
) -> None:
    """Of a cut shard what came before the cut, and what is behind as much in its place."""
    cut = shard(0, 10)[: 512 * 4 * 5]
    put_object(ais_bucket, "cut", cut)
    put_object(ais_bucket, "garbage", b"garbage" * 300)
    sizes = {"cut": len(cut), "garbage": -1, "gone": -1}
    assert counting(sizes, "samples", ErrorPolicy(partial(give, shard(0, 10)))) == [10, 10, 10]
    assert counting(sizes, "files", ErrorPolicy(partial(give, shard(0, 2)))) == [10, 4, 4]
    assert counting(sizes, "samples", ErrorPolicy(partial(give, None))) == [~4, ~0, ~0]
    broken = counting(sizes, "samples", ErrorPolicy(partial(give, shard(0, 10)[:-1024])))
    assert list(map(readable, broken)) == [9, 9, 9]


LEGAL = ["global header", "FIFO", "keys that come back", "dot and slash", "concatenated", "README"]


@pytest.mark.parametrize("size", [SMALL, BIG], ids=["small", "big"])
@pytest.mark.parametrize("uneven", ["pad", "drop", "keep"])
def test_ranks_agree_on_legal_shards(
    ais_bucket: Bucket, put_object: PutObject, uneven: str, size: int
) -> None:
    """Whatever kind they are: each sample once, and equally many steps where that is promised."""
    there: list[list[str]] = [[], []]
    for number, kind in enumerate(LEGAL):
        content = {**USUAL, **UNUSUAL}[kind](size)
        put_object(ais_bucket, f"{number}.tar", content)
        samples = group_samples(TarReader(io.BytesIO(content)).files())
        there[number % 2] += [f"{number}.tar: {sample.key}" for sample in samples]
    found = [
        list(
            AISShardReader(
                ais_bucket,
                rank=rank,
                world_size=2,
                uneven=uneven,  # pyright: ignore[reportArgumentType]
                transform=shard_and_key,
            )
        )
        for rank in range(2)
    ]
    counts = sorted(map(len, there))
    assert counts[0] < counts[1]
    if uneven == "keep":
        assert found == there
    elif uneven == "drop":
        assert found == [names[: counts[0]] for names in there]
    else:
        assert found == [(names * 2)[: counts[1]] for names in there]


def shard_and_key(found: tuple[str, Any]) -> str:
    """Where a sample is from."""
    return f"{found[1].url.rpartition('/')[2]}: {found[1].key}"
