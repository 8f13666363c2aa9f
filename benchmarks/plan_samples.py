"""The plan of the works that read samples of shards in any order."""

from __future__ import annotations

from benchmarks.works import Bar, Reader, Work

__all__ = ["SAMPLE_BARS", "SAMPLE_READERS", "SAMPLE_WORKS"]

_PATHS, _INDEXED = "SDK GetBatch, archpath", "SDK GetBatch, archpath, indexed"
_MOSAIC, _LIT = "MosaicML, its own shuffle", "litData, its own shuffle"
_MOSAIC_BY_INDEX, _LIT_BY_INDEX = "MosaicML, by random index", "litData, by random index"
_SINGLE, _OURS = "our AISMapDataset, single objects", "our AISShardMapDataset"
_BLOCKS, _IN_ORDER = "our ShardBlockSampler", "our AISShardReader, in order"
_SCANNED, _KNOWN = "our ShardIndex, scanned", "our ShardIndex, cluster's index"

SAMPLE_WORKS = (
    Work("G1", "Random samples of 35 KB, by 256", "samples/s", "random samples", _SINGLE),
    Work("G2", "Index of 100,000 samples", "samples/s", "many samples", _SCANNED),
)

SAMPLE_READERS = (
    Reader("G1", _PATHS, "random_access:archpath", most=512, options={"is_indexed": False}),
    Reader(
        "G1",
        _INDEXED,
        "random_access:archpath",
        most=4_096,
        data="indexed shards",
        options={"is_indexed": True},
    ),
    Reader("G1", _MOSAIC, "own_formats:mosaicml"),
    Reader("G1", _LIT, "own_formats:litdata"),
    Reader("G1", _MOSAIC_BY_INDEX, "own_formats:mosaicml_by_index", most=32),
    Reader("G1", _LIT_BY_INDEX, "own_formats:litdata_by_index", most=2_048),
    Reader("G1", _SINGLE, "random_access:objects", "ours", data="samples as objects"),
    Reader("G1", _OURS, "random_access:samples", "ours"),
    Reader("G1", _BLOCKS, "random_access:blocks", "ours"),
    Reader("G1", _IN_ORDER, "random_access:shard_reader", "ours"),
    Reader("G2", _SCANNED, "random_access:index", "ours", options={"cluster_index": "off"}),
    Reader("G2", _KNOWN, "random_access:index", "ours", options={"cluster_index": "build"}),
)

SAMPLE_BARS = (
    Bar("G1", _OURS, "rate", 0.9, (_SINGLE,)),
    Bar("G1", _OURS, "rate", 50, (_PATHS,)),
    Bar("G1", _OURS, "rate", 3, (_INDEXED,)),
    Bar("G1", _OURS, "rate", 3, (_MOSAIC_BY_INDEX, _LIT_BY_INDEX)),
    Bar("G1", _OURS, "rate", 3, (_MOSAIC, _LIT)),
    Bar("G1", _BLOCKS, "rate", 0.6, (_IN_ORDER,)),
    Bar("G2", _KNOWN, "seconds", 5),
)
