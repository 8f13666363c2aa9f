"""The plan: works, the readers of each, and the bars that ours have to reach."""

from __future__ import annotations

from benchmarks.plan_files import FILE_BARS, FILE_READERS, FILE_WORKS
from benchmarks.plan_samples import SAMPLE_BARS, SAMPLE_READERS, SAMPLE_WORKS
from benchmarks.works import Bar, Reader, Work

__all__ = ["BARS", "READERS", "WORKS", "Bar", "Reader", "Work"]

_PAST = "torchdata 0.9 + SDK 1.22"
_PAST_TAR = f"{_PAST}, load_from_tar"
_FILES = "load_files_by_ais"
_TAR = "load_files_by_ais, load_from_tar"
_SAMPLES = "load_samples_by_ais"
_WORKERS = {"workers": 2}
_FEW, _MANY = 500, 1_000
_BATCHES = tuple(f"SDK AISBatchIterDataset, {size}" for size in (32, 256, 1000))
_ITER = "our AISIterDataset"
_MAP = "our AISMapDataset, shuffled"
_SHARDS = "our AISShardReader"
_SHUFFLED = {"workers": 0}
_GET_BATCH = "GetBatch of 1,000, unparsed"
_NAMES = "list_files_by_ais"
_FIFTH = "list_files_by_ais, a fifth of them"
_DRAIN = "urllib3, unparsed"
_LOCAL = "load_from_tar on local files"
_BIG_STREAM = "load_files_by_ais, read as a file"


def _batch_datasets(work: str) -> tuple[Reader, ...]:
    return tuple(
        Reader(work, name, "sdk:batch_dataset", options={"max_batch_size": size})
        for name, size in zip(_BATCHES, (32, 256, 1000), strict=True)
    )


WORKS = (
    Work("A", "Small objects, 10 to 60 KB", "objects/s", "objects", _PAST),
    Work("B", "Tar shards of 1,000 samples of 35 KB", "samples/s", "shards", _PAST_TAR),
    Work("C", "Small objects, answers 10 ms late", "objects/s", "objects", _PAST, 0.01),
    Work("D", "Names, listed", "names/s", "names", "SDK list_objects_iter"),
    Work("E", "One shard of 2 GiB", "samples/s", "big shard", "webdataset, pipe:curl", rounds=1),
    *FILE_WORKS,
    *SAMPLE_WORKS,
)

READERS = (
    Reader("A", _PAST, "torchdata_own:files", most=_MANY, is_of_the_past=True),
    Reader("A", "SDK AISIterDataset", "sdk:iter_dataset", most=_MANY),
    Reader("A", "SDK AISMapDataset", "sdk:map_dataset", most=_MANY),
    *_batch_datasets("A"),
    Reader("A", "torchdata fsspec pipes, s3fs", "s3_fsspec:files", most=_FEW, data="S3 objects"),
    Reader("A", "s3torchconnector", "s3_connector:files", data="S3 objects"),
    Reader("A", _FILES, "ours:files", "ours"),
    Reader("A", "SDK AISIterDataset, 2 workers", "sdk:iter_in_workers", options=_WORKERS),
    Reader("A", f"{_FILES}, 2 workers", "ours:files_in_workers", "ours", options=_WORKERS),
    Reader("A", "SDK AISMapDataset, shuffled", "sdk:map_shuffled", most=_MANY, options=_SHUFFLED),
    Reader(
        "A", "our AISMapDataset, shuffled", "our_datasets:map_shuffled", "ours", options=_SHUFFLED
    ),
    Reader("A", _ITER, "our_datasets:iter_dataset", "ours"),
    Reader("A", f"{_ITER}, 2 workers", "our_datasets:iter_in_workers", "ours", options=_WORKERS),
    Reader("A", f"{_ITER}, resumed at 90 %", "our_datasets:resumed", "ours", most=_FEW),
    Reader("A", _GET_BATCH, "limits:get_batch", "limit", yields_items=False),
    Reader("A", "curl, 16 connections", "limits:curl", "limit"),
    Reader("B", _PAST_TAR, "torchdata_own:tar", is_of_the_past=True),
    Reader("B", "SDK AISShardReader", "sdk:shards"),
    Reader("B", "webdataset, pipe:curl", "webdatasets:samples"),
    Reader("B", "torchdata fsspec pipes, load_from_tar", "s3_fsspec:tar"),
    Reader("B", _TAR, "ours:tar", "ours"),
    Reader("B", _SAMPLES, "ours:samples", "ours"),
    Reader("B", _SHARDS, "our_datasets:shards", "ours"),
    Reader("B", _LOCAL, "local:tar", "limit"),
    Reader("B", _DRAIN, "limits:drain", "limit", yields_items=False),
    Reader("B", "curl, 16 connections", "limits:curl", "limit", yields_items=False),
    Reader("C", _PAST, "torchdata_own:files", most=_FEW // 2, is_of_the_past=True),
    Reader("C", "SDK AISIterDataset", "sdk:iter_dataset", most=_FEW // 2),
    *_batch_datasets("C"),
    Reader("C", _FILES, "ours:files", "ours"),
    Reader("D", "SDK list_objects_iter", "sdk:names"),
    Reader("D", _NAMES, "ours:names", "ours"),
    Reader("D", _FIFTH, "ours:names", "ours", data="a fifth of the names"),
    Reader("D", "our Manifest.build", "our_datasets:manifest", "ours"),
    Reader("E", "SDK AISShardReader", "sdk:shards"),
    Reader("E", "webdataset, pipe:curl", "webdatasets:samples"),
    Reader("E", _TAR, "ours:tar", "ours"),
    Reader("E", _SAMPLES, "ours:samples", "ours"),
    Reader("E", _BIG_STREAM, "ours:stream", "ours", yields_items=False),
    Reader("E", _DRAIN, "limits:drain", "limit", yields_items=False),
    *FILE_READERS,
    *SAMPLE_READERS,
)

BARS = (
    Bar("A", _FILES, "rate", 15, (_PAST,)),
    Bar("A", _FILES, "rate", 1.3, _BATCHES),
    Bar("A", _FILES, "rate", 0.8, (_GET_BATCH,)),
    Bar("A", f"{_FILES}, 2 workers", "rate", 6, ("SDK AISIterDataset, 2 workers",)),
    Bar("A", _MAP, "rate", 5, ("SDK AISMapDataset, shuffled",)),
    Bar("A", _ITER, "rate", 12, ("SDK AISIterDataset",)),
    Bar("A", f"{_ITER}, 2 workers", "rate", 6, ("SDK AISIterDataset, 2 workers",)),
    # The last tenth in a fifth of the time of all: at half the rate, with making the dataset.
    Bar("A", f"{_ITER}, resumed at 90 %", "rate", 0.5, (_ITER,)),
    Bar("A", _FILES, "first item", 1.2, ("SDK AISIterDataset", *_BATCHES)),
    Bar("B", _TAR, "rate", 0.85, (_LOCAL,)),
    Bar("B", _SAMPLES, "rate", 5, ("webdataset, pipe:curl",)),
    Bar("B", _SAMPLES, "rate", 5, ("SDK AISShardReader",)),
    Bar("B", _SAMPLES, "rate", 0.8, (_DRAIN,)),
    Bar("B", _SHARDS, "rate", 5, ("SDK AISShardReader",)),
    Bar("B", _SAMPLES, "first item", 1.2, ("SDK AISShardReader",)),
    Bar("C", _FILES, "rate", 25, (_PAST,)),
    Bar("D", _NAMES, "rate", 1, ("SDK list_objects_iter",)),
    Bar("D", "our Manifest.build", "rate", 0.5, (_NAMES,)),
    Bar("D", _NAMES, "first item", 1.2, ("SDK list_objects_iter",)),
    Bar("D", _NAMES, "memory", 5, (_FIFTH,)),
    Bar("E", _TAR, "memory", 150),
    Bar("E", _SAMPLES, "memory", 150),
    Bar("E", _BIG_STREAM, "memory", 150),
    *FILE_BARS,
    *SAMPLE_BARS,
)
