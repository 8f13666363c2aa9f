"""Read a bucket by Ray, on one machine or many, and say what is in it.

    AIS_ENDPOINT=http://localhost:8080 python examples/ray_data.py ais://digits/

Where the URL ends in ``.tar``, which may be a pattern as ``ais://imagenet/train-*.tar``, it reads
the samples that are in the shards. To use a cluster of Ray that runs already, set RAY_ADDRESS.
"""

from __future__ import annotations

import argparse
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from ray.data import Dataset
from ray.data.aggregate import Count, Sum

from aisdatapipes.ray import read_ais, read_ais_samples


def sizes_of_objects(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an object is, by its extension, and its size."""
    return [{"kind": PurePosixPath(row["url"]).suffix or "none", "size": len(row["bytes"])}]


def sizes_of_files(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the same for the files of a sample; what it lacks is null."""
    files = {kind: file for kind, file in row.items() if not kind.startswith("__")}
    return [{"kind": kind, "size": len(file)} for kind, file in files.items() if file is not None]


def kinds_in(url: str) -> Dataset:
    """Return what there is: a row for each kind of file."""
    if url.endswith(".tar"):
        files = read_ais_samples(url).flat_map(sizes_of_files)
    else:
        files = read_ais(url).flat_map(sizes_of_objects)
    return files.groupby("kind").aggregate(Count(), Sum("size"))


def main(url: str) -> None:
    """Print a line for each kind, the most frequent first."""
    found = kinds_in(url).sort("count()", descending=True)
    tables: list[pa.Table] = list(found.iter_batches(batch_format="pyarrow", batch_size=None))
    for row in pa.concat_tables(tables).to_pylist():
        print("{kind}: {count()} files, {sum(size)} bytes".format(**row))  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    main(parser.parse_args().url)
