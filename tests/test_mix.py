"""Mixes of datasets on a real node: what comes, in which number, and resuming, in random cases."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aistore.sdk import Bucket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from aisdatapipes import (
    AISIterDataset,
    AISMixDataset,
    AISShardReader,
    Manifest,
    Sharding,
    merge_states,
)
from aisdatapipes import errors as our
from aisdatapipes.datasets.mixing import Draws
from aisdatapipes.testing import LocalCluster
from conftest import PutObject
from support.tars import shard

pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:Length of IterableDataset"),
]

OBJECTS = [f"o/{number:02}" for number in range(20)]
SHARDS = 4
SAMPLES = [f"{number:04}" for number in range(3 * SHARDS)]

random_cases = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def first(pair: tuple[str, Any]) -> str:
    """The name."""
    return str(pair[0])


@dataclass(frozen=True)
class Store:
    """What there is to mix: objects, and shards."""

    endpoint: str
    objects: Manifest
    shards: Manifest

    def objects_of(self, begin: int, end: int, sharding: Sharding, **options: Any) -> Any:
        """Return a dataset of some of the objects."""
        manifest = Manifest.from_urls(self.objects.urls(range(begin, end)))
        return AISIterDataset(
            manifest=manifest,
            client_url=self.endpoint,
            transform=first,
            sharding=sharding,
            **options,
        )

    def samples(self, sharding: Sharding, **options: Any) -> Any:
        """Return a dataset of the samples of all shards."""
        return AISShardReader(
            manifest=self.shards,
            client_url=self.endpoint,
            transform=first,
            sharding=sharding,
            **options,
        )

    def mix(
        self, cut: int, rank: int = 0, world_size: int = 1, *, shuffle: bool = True, **options: Any
    ) -> AISMixDataset:
        """Return a mix of the objects before and after a cut, and of the samples."""
        sharding = Sharding(rank=rank, world_size=world_size)
        parts = [
            self.objects_of(0, cut, sharding, shuffle=shuffle),
            self.objects_of(cut, len(OBJECTS), sharding, shuffle=shuffle),
            self.samples(sharding, shuffle=shuffle),
        ]
        options = {"weights": [1, 2, 3], "sharding": sharding, **options}
        return AISMixDataset(parts, **options)


@pytest.fixture(scope="module")
def store(ais_cluster: LocalCluster, put_object: PutObject) -> Iterator[Store]:
    """Twenty objects, and four shards of three samples."""
    bucket: Bucket = ais_cluster.client().bucket("mixed").create()
    for name in OBJECTS:
        put_object(bucket, name, b"x")
    for number in range(SHARDS):
        put_object(bucket, f"s/{number}.tar", shard(3 * number, 3))
    lists = [
        Manifest.build(f"ais://mixed/{prefix}", client_url=ais_cluster.endpoint)
        for prefix in ("o/", "s/")
    ]
    yield Store(ais_cluster.endpoint, *lists)
    bucket.delete()


def loaded(dataset: Any, workers: int) -> list[Any]:
    """Return what torch's loader gives."""
    return list(DataLoader(dataset, batch_size=None, num_workers=workers))


CUTS = st.integers(1, len(OBJECTS) - 1)
STOPS = st.sampled_from(["all", "first", "cycle"])


@random_cases
@given(cut=CUTS, seed=st.integers(0, 99), shuffle=st.booleans())
def test_all_comes_once(store: Store, cut: int, seed: int, shuffle: bool) -> None:
    """By default a mix gives the samples of its datasets, each once, and `len` says how many."""
    mix = store.mix(cut, seed=seed, shuffle=shuffle)
    found = list(mix)
    assert sorted(found) == sorted([*OBJECTS, *SAMPLES])
    assert len(mix) == len(found)
    assert mix.counters().objects == len(OBJECTS) + SHARDS


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_ranks_share_it(store: Store, workers: int) -> None:
    """Two ranks with workers read everything between them, once."""
    found = [name for rank in range(2) for name in loaded(store.mix(8, rank, 2), workers)]
    assert Counter(found) == Counter([*OBJECTS, *SAMPLES])


@random_cases
@given(
    cut=CUTS,
    stop=STOPS,
    world_size=st.integers(1, 3),
    epoch=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_all_ranks_make_equally_many_steps(
    store: Store, cut: int, stop: Any, world_size: int, epoch: int, seed: int
) -> None:
    """However it stops, and whatever is drawn."""
    lengths = set()
    for rank in range(world_size):
        mix = store.mix(cut, rank, world_size, stop=stop, seed=seed)
        mix.set_epoch(epoch)
        lengths.add(len(list(mix)))
    assert len(lengths) == 1


@random_cases
@given(
    cut=CUTS,
    stop=st.sampled_from(["all", "first", "cycle", 7, 70]),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 3),
    data=st.data(),
)
def test_to_resume_is_to_continue(
    store: Store, cut: int, stop: Any, seed: int, epoch: int, data: st.DataObject
) -> None:
    """A mix stopped anywhere, also twice, goes on in another process as if nothing had been."""
    name = "samples_per_epoch" if isinstance(stop, int) else "stop"
    options: dict[str, Any] = {name: stop}

    def made() -> AISMixDataset:
        return store.mix(cut, seed=seed, **options)

    whole = made()
    whole.set_epoch(epoch)
    expected = list(whole)
    running, found = made(), []
    running.set_epoch(epoch)
    for _ in range(2):
        steps = data.draw(st.integers(0, len(expected) - len(found)))
        found += itertools.islice(iter(running), steps)
        state = json.loads(json.dumps(running.state_dict()))
        running = made()
        running.load_state_dict(state)
        assert running.state_dict() == state
    assert [*found, *running] == expected


def test_an_epoch_that_was_set_follows_a_state_of_an_end(store: Store) -> None:
    """After the last sample the next epoch comes whole; in the middle of another, it is refused."""
    mix, expected = store.mix(5, samples_per_epoch=9), store.mix(5, samples_per_epoch=9)
    samples = iter(mix)
    list(itertools.islice(samples, 4))
    middle = mix.state_dict()
    assert len(list(samples)) == 5
    end = mix.state_dict()
    expected.set_epoch(1)
    again = store.mix(5, samples_per_epoch=9)
    again.load_state_dict(end)
    again.set_epoch(1)
    assert list(again) == list(expected)
    again.load_state_dict(middle)
    with pytest.raises(our.StateMismatchError, match="of epoch 0, here it is 1"):
        list(again)


@pytest.mark.parametrize("options", [{}, {"samples_per_epoch": 40}], ids=["all", "long"])
@pytest.mark.parametrize("workers", [0, 2])
def test_it_resumes_in_torchdata_s_loader(
    store: Store, workers: int, options: dict[str, Any]
) -> None:
    """Stopped in the middle, the rest comes, in order; and so does the epoch after it."""

    def loader() -> tuple[AISMixDataset, Any]:
        mix = store.mix(7, **options)
        kind = StatefulDataLoader(mix, batch_size=3, collate_fn=list, num_workers=workers)
        return mix, kind

    mix, whole = loader()
    mix.set_epoch(2)
    expected = list(whole)
    mix.set_epoch(3)
    following = list(whole)
    mix, stopped = loader()
    mix.set_epoch(2)
    batches = iter(stopped)
    found = [next(batches) for _ in range(4)]
    state = stopped.state_dict()
    mix, again = loader()
    again.load_state_dict(state)
    assert found + list(again) == expected
    mix.set_epoch(3)
    assert list(again) == following
    with pytest.raises(our.StateMismatchError):
        merge_states(state)


@random_cases
@given(
    count=st.integers(1, 6),
    samples=st.integers(1, 40),
    world_size=st.integers(1, 3),
    shuffle=st.booleans(),
)
def test_epochs_are_as_long_as_one_likes(
    store: Store, count: int, samples: int, world_size: int, shuffle: bool
) -> None:
    """So many samples over all ranks; one dataset is repeated whole before any of it again."""
    found = []
    for rank in range(world_size):
        sharding = Sharding(rank=rank, world_size=world_size)
        dataset = store.objects_of(0, count, sharding, shuffle=shuffle)
        mix = AISMixDataset([dataset], samples_per_epoch=samples * world_size, sharding=sharding)
        own = list(mix)
        assert len(own) == len(mix) == samples
        found += own
        size = len(dataset)
        for begin in range(0, samples - size + 1, size):
            assert sorted(own[begin : begin + size]) == sorted(set(own[begin : begin + size]))
    assert len(found) == samples * world_size


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_share_an_epoch_of_a_given_length(store: Store, workers: int) -> None:
    """Exactly so many, in persistent workers too, and other ones in the next epoch."""
    mix = store.mix(9, samples_per_epoch=50)
    loader = DataLoader(mix, batch_size=None, num_workers=workers, persistent_workers=True)
    epochs = []
    for epoch in (0, 1, 0):
        mix.set_epoch(epoch)
        epochs.append(list(loader))
    assert [len(epoch) for epoch in epochs] == [50] * 3
    assert epochs[0] == epochs[2] != epochs[1]


def test_a_dataset_that_begins_again_is_shuffled_anew(store: Store) -> None:
    """Its second pass has another order, and each pass everything."""
    dataset = store.objects_of(0, 20, Sharding(), shuffle=True)
    found = list(AISMixDataset([dataset], samples_per_epoch=60))
    passes = [found[begin : begin + 20] for begin in (0, 20, 40)]
    assert all(sorted(one) == OBJECTS for one in passes)
    assert len({tuple(one) for one in passes}) == 3


@pytest.mark.parametrize(("stop", "ended"), [("first", 1), ("cycle", 3)])
def test_a_mix_stops_where_it_is_said_to(store: Store, stop: Any, ended: int) -> None:
    """With the first dataset that ends; or when each has, none of them missing a sample."""
    found = list(store.mix(3, stop=stop))
    parts = [OBJECTS[:3], OBJECTS[3:], SAMPLES]
    assert sum(set(part) <= set(found) for part in parts) >= ended
    assert (len(found) == len(set(found))) == (stop == "first")


def test_weights_say_how_often() -> None:
    """Of many draws each dataset has its share, and a closed one none."""
    draws = Draws([3, 1, 4], "0/0/0")
    found = Counter(draws.draw(place, (True,) * 3) for place in range(8000))
    assert [round(found[number] / 1000) for number in range(3)] == [3, 1, 4]
    assert {draws.draw(place, (False, True, False)) for place in range(3000)} == {1}


def test_mixes_can_be_mixed(store: Store) -> None:
    """A mix is a dataset as any: it stops and resumes in another one."""

    def made() -> AISMixDataset:
        return AISMixDataset([store.mix(4), store.samples(Sharding())], seed=1)

    expected = list(made())
    stopped = made()
    found = list(itertools.islice(stopped, 11))
    again = made()
    again.load_state_dict(stopped.state_dict())
    assert found + list(again) == expected
    assert Counter(expected) == Counter([*OBJECTS, *SAMPLES, *SAMPLES])


def test_what_cannot_be_mixed_is_refused(store: Store) -> None:
    """Each error says what to give."""
    one = store.samples(Sharding())
    for arguments, said in [
        (([],), "no datasets"),
        (([one], [0]), "give 1 numbers above 0"),
        (([one], [1, 2]), "give 1 numbers above 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            AISMixDataset(*arguments)
    with pytest.raises(TypeError, match="cannot mix a list"):
        AISMixDataset([["a"]])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="stop is 'last'"):
        AISMixDataset([one], stop="last")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="samples_per_epoch alone"):
        AISMixDataset([one], stop="all", samples_per_epoch=3)
    with pytest.raises(ValueError, match="3 ranks cannot have equally many: give 9 or 12"):
        list(store.mix(3, 0, 3, samples_per_epoch=10))
    with pytest.raises(TypeError, match="has no length"):
        len(store.mix(3, stop="first"))


def test_states_of_something_else_are_refused(store: Store) -> None:
    """Of a dataset, of other weights, of another number of datasets."""
    mix = store.mix(3)
    with pytest.raises(our.StateMismatchError, match="no state of a mix"):
        mix.load_state_dict(store.samples(Sharding()).state_dict())
    with pytest.raises(our.StateMismatchError):
        mix.load_state_dict(store.mix(3, weights=[1, 1, 1]).state_dict())
    next(iter(mix))
    with pytest.raises(our.StateMismatchError, match="mix of 3, here of 1"):
        AISMixDataset([store.samples(Sharding())]).load_state_dict(mix.state_dict())


def test_a_worker_without_a_sample_does_not_wait_for_ever(store: Store) -> None:
    """Two workers cannot both repeat one object."""
    mix = AISMixDataset([store.objects_of(0, 1, Sharding())], samples_per_epoch=4)
    with pytest.raises(ValueError, match="dataset 0 of the mix has no sample for rank 0 of 1, wor"):
        loaded(mix, 2)
