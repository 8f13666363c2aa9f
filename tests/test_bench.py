"""The command that measures how fast a cluster feeds a loader, and what it makes of the figures."""

from __future__ import annotations

import json

import pytest
from aistore.sdk import Bucket

from aisdatapipes.cli import main
from aisdatapipes.testing import LocalCluster
from aisdatapipes.throughput import Found, Machine, Row, advise, find
from aisdatapipes.urls import ParsedURL
from conftest import PutObject
from support.tars import shard

MIB = 2**20


@pytest.fixture(autouse=True)
def environment(ais_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point ``$AIS_ENDPOINT`` at the cluster, and keep SIGTERM from the command."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.fixture
def filled(ais_bucket: Bucket, put_object: PutObject) -> Bucket:
    """A bucket of 5 files of 100 bytes and 3 shards of 7 samples."""
    for number in range(5):
        put_object(ais_bucket, f"train/{number}.jpg", bytes(100))
    for number in range(3):
        put_object(ais_bucket, f"train/{number}.tar", shard(7 * number, 7))
    return ais_bucket


def row(what: str, workers: int, per_second: int, mib: float, cores: float = 0.1) -> Row:
    """Return a row of one second."""
    return Row(what, workers, per_second, int(mib * MIB), 1.0, 0.1, 0, cores)


def found(files: int = 0, shards: int = 0, seconds: float = 0.1, endpoint: str = "") -> Found:
    """Return what a listing found: files of 1 MiB and shards of 64 MiB."""
    names = ([("a", MIB)] * files, [("a.tar", 64 * MIB)] * shards)
    return Found(ParsedURL("ais", "b"), endpoint or "http://ais:51080", *names, 0, seconds)


def advice(what: Found, *rows: Row, machine: Machine | None = None) -> dict[str, str]:
    """Return the advice by its topic."""
    return dict(advise(what, rows, machine or Machine(8, 10.0)))


def test_a_row_for_each_kind_and_number(filled: Bucket, capfd: pytest.CaptureFixture[str]) -> None:
    """What is found is counted, and what is read is of files and samples, in whole epochs."""
    url = f"ais://{filled.name}/train/"
    assert main(["bench", url, "--workers", "1,0,1", "--seconds", "0.2", "--json"]) == 0
    shown = capfd.readouterr()
    head, *rest = map(json.loads, shown.out.splitlines())
    assert (head["names"], head["files"], head["file_bytes"], head["shards"]) == (8, 5, 500, 3)
    rows, lines = [one for one in rest if "what" in one], [one for one in rest if "topic" in one]
    assert [(one["what"], one["workers"]) for one in rows] == [
        (what, workers) for what in ("files", "samples") for workers in (0, 1)
    ]
    for one in rows:
        there = {"files": 5, "samples": 21}[one["what"]]  # and as many are in the only batch
        assert one["seconds"] >= 0.2
        assert one["items"] % there == 0
        assert 0 < one["items"] <= there * (one["epochs"] + 1)
    assert rows[0]["bytes"] == 100 * rows[0]["items"]
    assert [one["topic"] for one in lines] == ["listing", "size", "workers", "network"]
    assert shown.err == ""


def test_the_table(filled: Bucket, capfd: pytest.CaptureFixture[str]) -> None:
    """It says what is read, and of what is not there it has no row."""
    url = f"ais://{filled.name}/train/*.jpg"
    assert main(["bench", url, "--workers", "0", "--seconds", "0.1"]) == 0
    shown = capfd.readouterr().out
    assert "        5 files (500 B), read whole" in shown
    assert "\nfiles          0" in shown
    assert "\nsamples" not in shown
    assert "there are no shards to compare with" in shown


@pytest.mark.parametrize(
    ("path", "message"),
    [("/nothing", "no objects in ais://"), ("-gone/", "no bucket ais://")],
)
def test_nothing_to_read(
    ais_bucket: Bucket, capfd: pytest.CaptureFixture[str], path: str, message: str
) -> None:
    """An empty prefix is one line, as is a bucket that is none."""
    assert main(["bench", f"ais://{ais_bucket.name}{path}"]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"aisdatapipes bench: {message}")
    assert error.count("\n") == 1


def test_more_workers_than_there_is_to_read(
    ais_bucket: Bucket, put_object: PutObject, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are not measured, which is said, and not warned of in every epoch."""
    put_object(ais_bucket, "0.tar", shard(0, 7))
    url = f"ais://{ais_bucket.name}"
    assert main(["bench", url, "--workers", "0,2", "--seconds", "0.1"]) == 0
    shown = capfd.readouterr()
    assert "\nsamples        2  not measured, because there are shards for 1 workers" in shown.out
    assert shown.err == ""


def test_shards_without_samples(
    ais_bucket: Bucket, put_object: PutObject, capfd: pytest.CaptureFixture[str]
) -> None:
    """Empty files and empty shards are rows of nothing, not a division by zero."""
    put_object(ais_bucket, "0.tar", bytes(1024))
    put_object(ais_bucket, "0.jpg", b"")
    url = f"ais://{ais_bucket.name}"
    assert main(["bench", url, "--workers", "0", "--seconds", "0.1"]) == 0
    assert "\nsamples        0           0       0.0" in capfd.readouterr().out


@pytest.mark.parametrize("option", ["--workers=a", "--workers=1,", "--seconds=0", "--seconds=nan"])
def test_wrong_numbers(option: str) -> None:
    """They are a wrong call."""
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "ais://b", option])


def test_listing_stops_when_its_time_is_over(filled: Bucket) -> None:
    """And what was found until then is said not to be all."""
    assert not find(f"ais://{filled.name}", None, 1e-9).is_all


def test_advice_on_listing() -> None:
    """Its share of an epoch decides: the reading of all that is there, at the best rate."""
    files = row("files", 1, 100, 100)
    assert advice(found(9, seconds=0.4), files)["listing"] == "9 names in 0.40 s: nothing to gain"
    little = advice(found(9900, seconds=1), files)["listing"]
    assert little.endswith("1% of an epoch, whose reading takes 99.0 s at best: nothing to gain")
    much = advice(found(1000, seconds=10), files)["listing"]
    assert "50% of an epoch, whose reading takes 10.0 s at best: list once" in much


def test_advice_on_sizes() -> None:
    """Shards are praised where they were faster; few or brief ones are found out."""
    files = row("files", 1, 100, 100)
    both = found(10, 10)
    assert "3.0 times as fast" in advice(both, files, row("samples", 1, 900, 300))["size"]
    assert "leave the files" in advice(both, files, row("samples", 1, 900, 105))["size"]
    assert "no shards to compare" in advice(found(10), files)["size"]
    big = Found(ParsedURL("ais", "b"), "http://ais", files=[("a", 40 * MIB)])
    assert "of 40.0 MiB come at 100.0 MiB/s: big enough" in advice(big, files)["size"]
    assert "6 of which read nothing" in advice(found(0, 2), row("samples", 8, 9, 300))["size"]
    assert "lasts a worker for 1.3 s" in advice(found(0, 9), row("samples", 2, 9, 100))["size"]
    brief = advice(found(0, 9), row("samples", 2, 9, 640))["size"]
    assert "lasts a worker for 0.20 s: 160.0 MiB and more" in brief


def test_advice_on_workers() -> None:
    """The fewest that are within 10 % of the best, and what more of them change."""
    rates = {0: 100, 1: 150, 2: 290, 4: 300, 8: 200}
    rows = [row("files", workers, rate, rate) for workers, rate in rates.items()]
    assert advice(found(9), *rows)["workers"] == "2 for files (290/s; 8 change that by -31%)"
    assert (
        "and still rising: measure more, there are 8 cores"
        in advice(found(9), *rows[:3])["workers"]
    )
    few = advice(found(9), *rows[:3], machine=Machine(2))["workers"]
    assert "the most that were measured, for 2 cores" in few
    assert "no other number was measured" in advice(found(9), rows[0])["workers"]


def test_advice_on_the_network() -> None:
    """The card, the cores or neither is the limit; there is none to a cluster that is here."""
    near = found(9, endpoint="http://127.0.0.1:8080")
    assert "on this machine" in advice(near, row("files", 2, 9, 100))["network"]
    assert "the card is the limit" in advice(found(9), row("files", 2, 9, 1100))["network"]
    assert "the cores are the limit" in advice(found(9), row("files", 1, 9, 100, 1.9))["network"]
    assert "neither is the limit" in advice(found(9), row("files", 8, 9, 100, 2.0))["network"]
