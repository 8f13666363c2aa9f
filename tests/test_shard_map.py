"""Random access: samples of plain tar shards by index, in any order, as `tarfile` has them."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    Subset,
    WeightedRandomSampler,
    random_split,
)
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import AISShardMapDataset, AISShardReader, Manifest, ShardIndex, errors
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.faults import FaultProxy
from support.tars import member, pack, shard

FORMATS = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}
BATCHES = r"GET /v1/ml/moss"

Samples = dict[str, dict[str, bytes]]


def random_shard(seed: int, tar_format: int) -> bytes:
    """Return a shard of samples of random sizes, with long names, directories and odd files."""
    generator = random.Random(seed)
    members = []
    for number in range(20):
        key = f"d{seed}/{'x' * generator.choice([1, 60, 90])}/{'y' * 30}ö/{number:03d}"
        ends = generator.sample(["jpg", "cls", "Seg.png", "json"], generator.randint(1, 4))
        if generator.random() < 0.2:
            members.append(member(f"d{seed}/folder{number}", type=tarfile.DIRTYPE))
        for end in ends:
            content = generator.randbytes(generator.choice([0, 3, 511, 512, 513, 5000]))
            members.append(member(f"{key}.{end}", content))
        if generator.random() < 0.2:
            members.append(member("README", b"nothing"))
    return pack(members, tar_format)


def by_tarfile(archive: bytes) -> Samples:
    """Return the samples as `tarfile` reads the members."""
    samples: Samples = {}
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
        for info in tar:
            directory, _, base = info.name.rpartition("/")
            stem, dot, end = base.partition(".")
            file = tar.extractfile(info)
            if dot and file:
                samples.setdefault(f"{directory}/{stem}", {})[end.lower()] = file.read()
    return samples


def files_of(sample: tuple[str, Any]) -> dict[str, bytes]:
    """Return the files of a sample without the empty ones."""
    return {end: content for end, content in sample[1].items() if content}


def without_empty(samples: Samples) -> Samples:
    """Return the samples without their empty files."""
    return {key: {e: c for e, c in files.items() if c} for key, files in samples.items()}


@pytest.fixture(scope="module")
def three_targets() -> Iterator[LocalCluster]:
    """A cluster of three targets."""
    with LocalCluster(targets=3) as cluster:
        yield cluster


@pytest.mark.parametrize("tar_format", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("targets", [1, 3])
def test_every_sample_in_random_order_is_as_tarfile_has_it(
    request: pytest.FixtureRequest, put_object: PutObject, targets: int, tar_format: int
) -> None:
    """Of shards on one or three targets, in batches and one by one."""
    cluster = request.getfixturevalue("ais_cluster" if targets == 1 else "three_targets")
    bucket = cluster.client().bucket(f"tars-{tar_format}").create(exist_ok=True)
    archives = [random_shard(seed, tar_format) for seed in range(6)]
    for number, archive in enumerate(archives):
        put_object(bucket, f"{number}.tar", archive)
    expected = {key: files for one in archives for key, files in by_tarfile(one).items()}
    dataset = AISShardMapDataset(bucket)
    loader = DataLoader(dataset, batch_size=37, shuffle=True, collate_fn=list)
    found = [sample for batch in loader for sample in batch]
    assert {sample[1].key: files_of(sample) for sample in found} == without_empty(expected)
    assert len(found) == len(dataset) == len(expected)
    assert [sample[1].key for sample in found] != list(expected)
    for position in (0, 7, -1):
        assert files_of(dataset[position]) == without_empty(expected)[dataset[position][1].key]
    bucket.delete()


@pytest.fixture
def dataset(ais_cluster: LocalCluster, shard_urls: list[str]) -> AISShardMapDataset:
    """Of 35 samples in five shards."""
    return AISShardMapDataset(
        manifest=Manifest.from_urls(shard_urls), client_url=ais_cluster.endpoint
    )


def numbers(samples: Any) -> list[int]:
    """Return the numbers of samples."""
    return [int(basename) for basename, _ in samples]


def test_samples_are_those_of_the_shard_reader(
    dataset: AISShardMapDataset, ais_cluster: LocalCluster
) -> None:
    """Basename, files, key and shard, in the order of the indices."""
    reader = AISShardReader(manifest=dataset.manifest, client_url=ais_cluster.endpoint)
    expected = [(name, files, files.key, files.url) for name, files in reader]
    found = dataset.__getitems__(range(35))
    assert [(name, files, files.key, files.url) for name, files in found] == expected


def test_a_batch_is_one_request(shard_urls: list[str], faults: FaultProxy) -> None:
    """With an index for each sample once more, and from the end; in their order."""
    index = ShardIndex.build(manifest=Manifest.from_urls(shard_urls), client_url=faults.endpoint)
    dataset = AISShardMapDataset(index=index)
    assert numbers(dataset.__getitems__([33, 0, 7, 33, -1, 6, 8])) == [33, 0, 7, 33, 34, 6, 8]
    assert faults.count(BATCHES) == 2  # at the proxy, which redirects it, and at the target
    counters = dataset.counters()
    assert (counters.objects, counters.requests) == (7, 1)


@pytest.mark.parametrize("index", [35, -36])
def test_an_index_that_is_not_there(dataset: AISShardMapDataset, index: int) -> None:
    """It raises as that of a list, alone and in a batch."""
    for read in (lambda: dataset[index], lambda: dataset.__getitems__([0, index])):
        with pytest.raises(IndexError, match=f"no sample {index}: the index has 35"):
            read()


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_workers_share_the_index(dataset: AISShardMapDataset, start_method: str) -> None:
    """Of a shuffled loader each sample comes once, by whatever worker, as often as it is read."""
    loader = DataLoader(
        dataset,
        batch_size=4,
        shuffle=True,
        num_workers=2,
        collate_fn=list,
        multiprocessing_context=start_method,
        persistent_workers=True,
    )
    for _ in range(2):
        found = [sample for batch in loader for sample in batch]
        assert sorted(numbers(found)) == list(range(35))
        assert all(files["jpg"] == f"jpg train/{name}".encode() for name, files in found)
    assert dataset.counters().objects == 70


def read_by(dataset: Any, **options: Any) -> list[int]:
    """Return the numbers of the samples that a loader reads."""
    loader = DataLoader(dataset, batch_size=4, collate_fn=list, **options)
    return [number for batch in loader for number in numbers(batch)]


def test_ranks_get_parts(dataset: AISShardMapDataset) -> None:
    """By torch's own sampler, all of the samples together."""
    samplers = [DistributedSampler(dataset, 2, rank, seed=3) for rank in range(2)]
    parts = [read_by(dataset, sampler=sampler) for sampler in samplers]
    assert set(parts[0]) | set(parts[1]) == set(range(35))
    assert list(map(len, parts)) == [18, 18]


def test_samples_are_drawn_by_weight(dataset: AISShardMapDataset) -> None:
    """Some several times, and those without weight never."""
    weights = [float(number in (3, 20)) for number in range(35)]
    found = read_by(dataset, sampler=WeightedRandomSampler(weights, 50))
    assert (set(found), len(found)) == ({3, 20}, 50)


def test_parts_of_the_samples(dataset: AISShardMapDataset) -> None:
    """Subsets and random splits are read by batches too."""
    assert read_by(Subset(dataset, [30, 2, 9])) == [30, 2, 9]
    train, test = random_split(dataset, [0.8, 0.2])
    assert sorted(read_by(train) + read_by(test)) == list(range(35))


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_resumes_in_mid_epoch(dataset: AISShardMapDataset, num_workers: int) -> None:
    """What is left comes, in the same order, and nothing else."""

    def make() -> StatefulDataLoader:
        return StatefulDataLoader(
            dataset, 4, shuffle=True, num_workers=num_workers, collate_fn=list
        )

    loader = make()
    batches = iter(loader)
    begun = [numbers(next(batches)) for _ in range(3)]
    state = loader.state_dict()
    rest = list(map(numbers, batches))
    again = make()
    again.load_state_dict(state)
    assert list(map(numbers, again)) == rest
    assert sorted(chain.from_iterable(begun + rest)) == list(range(35))


def test_a_saved_index_is_used(
    dataset: AISShardMapDataset, faults: FaultProxy, tmp_path: Path
) -> None:
    """No shard is read for it; the listing tells whether they are the same."""
    dataset.index.save(tmp_path / "i")
    index = ShardIndex.load(tmp_path / "i")
    other = AISShardMapDataset(index=index, client_url=faults.endpoint)
    assert faults.count("GET /v1/objects") == 0
    assert other[3][1] == dataset[3][1]


def test_an_index_of_other_shards(dataset: AISShardMapDataset, ais_bucket: Bucket) -> None:
    """It is refused, with the first one that differs."""
    with pytest.raises(errors.ShardIndexError, match=r"0\.tar where ais.*1\.tar is to be read"):
        AISShardMapDataset(
            urls_list=f"ais://{ais_bucket.name}/1",
            index=dataset.index,
            client_url=dataset.client_url,
        )


def test_an_index_of_a_shard_that_was_replaced(
    dataset: AISShardMapDataset, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """It is refused when the dataset is made."""
    put_object(ais_bucket, "3.tar", shard(60, 7))
    with pytest.raises(errors.ObjectChangedError, match=r"'3\.tar'.*was replaced since"):
        AISShardMapDataset(index=dataset.index)


def basename(sample: tuple[str, Any]) -> str:
    """Return the name of a sample."""
    return sample[0]


def test_transform_and_decode(dataset: AISShardMapDataset) -> None:
    """Files are decoded, and then the pair is transformed."""
    named = AISShardMapDataset(index=dataset.index, transform=basename)
    assert named.__getitems__([3, 1]) == ["0003", "0001"]
    assert named[2] == "0002"
    decoded = AISShardMapDataset(index=dataset.index, decode=lambda key, data: (key, len(data)))
    assert decoded[0][1]["jpg"] == (".jpg", 14)


def test_unknown_options(dataset: AISShardMapDataset) -> None:
    """They are refused by name; an ETL's results have no places to read from."""
    with pytest.raises(TypeError, match=r"AISShardMapDataset got an unexpected.*'etl'"):
        AISShardMapDataset(index=dataset.index, etl="any")  # pyright: ignore[reportCallIssue]


APART = [member(f"{n}.{end}", f"{end}{n}".encode()) for end in ("jpg", "cls") for n in range(6)]


def test_members_of_a_sample_may_be_apart(
    ais_cluster: LocalCluster, ais_bucket: Bucket, put_object: PutObject
) -> None:
    """Of a tar that is sorted by extension: two ranges for each sample, in one request."""
    put_object(ais_bucket, "apart.tar", pack(APART))
    dataset = AISShardMapDataset(ais_bucket, client_url=ais_cluster.endpoint)
    assert list(map(len, (entry.ranges for entry in dataset.index))) == [2] * 6
    before = dataset.counters().requests
    found = dataset.__getitems__([5, 0, 3, 5])
    assert [(name, *files.values()) for name, files in found] == [
        (str(n), f"jpg{n}".encode(), f"cls{n}".encode()) for n in (5, 0, 3, 5)
    ]
    assert dataset.counters().requests == before + 1
    assert dataset[4][1] == {"jpg": b"jpg4", "cls": b"cls4"}
