"""A typed script of a user; `test_typed` lets pyright and mypy check it, and nothing runs it."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from aisdatapipes import (
    AISBaseMapDataset,
    AISConcatDataset,
    AISDataset,
    AISFileLister,
    AISFileLoader,
    AISIterDataset,
    AISMapDataset,
    AISParallelMapDataset,
    AISSampleLoader,
    AISShardReader,
    ManifestEntry,
    ZeroDict,
)


def size_of(pair: tuple[str, bytes]) -> int:
    return len(pair[1])


class Labels(AISBaseMapDataset[tuple[str, int]]):
    def __getitem__(self, index: int) -> tuple[str, int]:
        name, content = self.read(index)
        return name, len(content)


def map_datasets() -> None:
    plain = AISMapDataset("ais://caltech256/")
    assert_type(plain, AISMapDataset[tuple[str, bytes]])
    name, content = plain[0]
    assert_type(name, str)
    assert_type(content, bytes)
    assert_type(plain.__getitems__([0, 1]), list[tuple[str, bytes]])
    assert_type(plain.manifest[0], ManifestEntry)
    assert_type(plain.manifest[0].bucket, str)

    sizes = AISMapDataset(urls_list="ais://caltech256/", transform=size_of)
    assert_type(sizes, AISMapDataset[int])
    assert_type(sizes[0], int)
    assert_type(AISDataset("http://localhost:8080", "ais://caltech256/")[0], tuple[str, bytes])
    assert_type(AISDataset(urls_list="ais://caltech256/", transform=size_of)[0], int)
    assert_type(Labels("ais://caltech256/")[0], tuple[str, int])

    both = plain + plain
    assert_type(both, AISConcatDataset[tuple[str, bytes]])
    assert_type(both[0], tuple[str, bytes])
    _, buffer = AISParallelMapDataset("ais://caltech256/")[0]
    assert_type(buffer.tobytes(), bytes)


def iterable_datasets() -> None:
    for name, content in AISIterDataset("ais://caltech256/"):
        assert_type(name, str)
        assert_type(content, bytes)
    for number in AISIterDataset(urls_list="ais://caltech256/", transform=size_of):
        assert_type(number, int)
    for basename, files in AISShardReader("ais://coco/train-"):
        assert_type(basename, str)
        assert_type(files, ZeroDict)
        assert_type(files["jpg"], Any)  # or what ``decode`` makes of it


def pipes() -> None:
    urls = AISFileLister(["ais://caltech256/"])
    for url, stream in AISFileLoader(urls):
        assert_type(url, str)
        assert_type(stream.read(), bytes)
        assert_type(stream.read(10), bytes)
        assert_type(stream.seek(0), int)
    for url, stream in urls.load_files_by_ais(max_errors=3):
        assert_type(url, str)
        assert_type(stream.read(), bytes)
    assert_type(urls.load_files_by_ais(), AISFileLoader)
    assert_type(urls.load_samples_by_ais(), AISSampleLoader)
