"""A program that ends, many times, while it reads: how each of its processes ended.

One process imports everything, and a fork of it is each run, which gets to its end as a script
does. So the end comes often in little time.

Run as ``python -m support.exits ENDPOINT BUCKET RUNS KIND...``; the bucket is that of `fill`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from aistore.sdk import Bucket
from torch.utils.data import DataLoader

from aisdatapipes import AISFileLister, AISIterDataset, AISMapDataset, AISShardReader, Settings
from aisdatapipes.filesystem import AISFileSystem
from support.tars import shard

_AT_A_TIME = 3


def fill(bucket: Bucket, put: Callable[[Bucket, str, bytes], None]) -> None:
    """Put what the readers here read."""
    for number in range(60):
        put(bucket, f"o/{number:02d}", bytes(30_000))
    for number in range(4):
        put(bucket, f"t/{number}", shard(20 * number, 20))
    put(bucket, "big", bytes(4_000_000))


def exit_codes(endpoint: str, bucket: str, runs: int, *kinds: str) -> dict[str, dict[str, int]]:
    """Run the program and return, by kind, how many of its processes ended with which status."""
    command = [sys.executable, "-W", "ignore", "-m", __name__, endpoint, bucket, str(runs), *kinds]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment())
    return json.loads(done.stdout)


def environment() -> dict[str, str]:
    """Return that of a program that imports what the tests do."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def _pipe(endpoint: str, bucket: str) -> Iterator[Any]:
    return iter(AISFileLister([f"ais://{bucket}/o/"], endpoint).load_files_by_ais(endpoint))


def _singles(endpoint: str, bucket: str) -> Iterator[Any]:
    lister = AISFileLister([f"ais://{bucket}/o/"], endpoint)
    return iter(lister.load_files_by_ais(endpoint, max_batch=1))


def _tar(endpoint: str, bucket: str) -> Iterator[Any]:
    lister = AISFileLister([f"ais://{bucket}/t/"], endpoint)
    return iter(lister.load_files_by_ais(endpoint).load_from_tar())


def _iterable(endpoint: str, bucket: str) -> Iterator[Any]:
    return iter(AISIterDataset(urls_list=f"ais://{bucket}/o/", client_url=endpoint))


def _map(endpoint: str, bucket: str) -> Iterator[Any]:
    dataset = AISMapDataset(urls_list=f"ais://{bucket}/o/", client_url=endpoint)
    return iter(DataLoader(dataset, batch_size=4, collate_fn=list))


def _shards(endpoint: str, bucket: str) -> Iterator[Any]:
    reader = AISShardReader(
        urls_list=f"ais://{bucket}/t/",
        client_url=endpoint,
        settings=Settings(whole_object_bytes=0),
    )
    return iter(reader)


def _file(endpoint: str, bucket: str) -> Iterator[Any]:
    file = AISFileSystem(endpoint).open(f"{bucket}/big")
    return iter(lambda: file.read(100_000), b"")


def _upload(endpoint: str, bucket: str) -> Iterator[Any]:
    files = AISFileSystem(endpoint)
    file = files.open(f"{bucket}/new{os.getpid()}", "wb", block_size=2**18)
    return iter(lambda: file.write(bytes(2**19)), 0)


KINDS: dict[str, Callable[[str, str], Iterator[Any]]] = {
    "pipe": _pipe,
    "singles": _singles,
    "tar": _tar,
    "iterable": _iterable,
    "map": _map,
    "shards": _shards,
    "file": _file,
    "upload": _upload,
}


def _codes(runs: int) -> Counter[int] | None:
    """Fork so many processes, and return how they ended; None in each of them."""
    codes: Counter[int] = Counter()
    running = 0
    while codes.total() < runs:
        if running < _AT_A_TIME and codes.total() + running < runs:
            if not os.fork():
                return None
            running += 1
        else:
            codes[os.waitstatus_to_exitcode(os.wait()[1])] += 1
            running -= 1
    return codes


def _main(endpoint: str, bucket: str, runs: str, *kinds: str) -> None:
    found = {}
    for kind in kinds:
        codes = _codes(int(runs))
        if codes is None:
            for _ in islice(KINDS[kind](endpoint, bucket), 2):
                pass
            return
        found[kind] = codes
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
