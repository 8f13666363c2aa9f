"""The demo: its images, its buckets, what it reads and learns, and what it says."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
from aistore.sdk import Bucket
from PIL import Image
from sklearn.datasets import load_digits

from aisdatapipes.demo import AccuracyError, DemoError, MissingExtraError, run_demo
from aisdatapipes.demo.buckets import fresh_bucket, put_files
from aisdatapipes.demo.digits import ALL_IMAGES, DIGITS, count_images, digit_shards, digit_tree
from aisdatapipes.demo.errors import one_line_errors
from aisdatapipes.demo.pipelines import file_pipe, shard_pipe
from aisdatapipes.demo.summary import Row, summarize
from aisdatapipes.demo.training import Result, train_and_test
from aisdatapipes.errors import BucketNotFoundError
from aisdatapipes.testing import LocalCluster

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
IMAGES = 60
FEW_IMAGES = ["-m", "aisdatapipes", "demo", "--images", str(IMAGES)]
NO_CLUSTER = "http://127.0.0.1:1"


def run_python(*arguments: str, endpoint: str | None) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, with ``$AIS_ENDPOINT`` or without."""
    environment = {key: value for key, value in os.environ.items() if key != "AIS_ENDPOINT"}
    environment |= {"AIS_ENDPOINT": endpoint} if endpoint else {}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def demo_buckets(cluster: LocalCluster) -> list[str]:
    """Return the names of all buckets that only the demo makes."""
    buckets = cluster.client().cluster().list_buckets(provider="ais")
    return [bucket.name for bucket in buckets if bucket.name.startswith("aisdatapipes-demo-")]


@pytest.fixture(scope="module")
def tree() -> dict[str, bytes]:
    """All images."""
    return digit_tree()


@pytest.fixture
def stored(ais_cluster: LocalCluster) -> Iterator[tuple[Bucket, dict[str, int]]]:
    """A bucket with a few images as files, and how many there are in each split."""
    few = digit_tree(IMAGES)
    with fresh_bucket(ais_cluster.endpoint, "test") as bucket:
        put_files(bucket, few, ais_cluster.endpoint)
        yield bucket, count_images(few)


def test_tree_is_like_caltechs(tree: dict[str, bytes]) -> None:
    """A folder for each class with its number and name, and in it numbered files from 1 on."""
    assert len(tree) == ALL_IMAGES == 1797
    assert list(tree) == sorted(tree)
    paths = sorted(name.partition("/")[2] for name in tree)
    assert "003.three/003_0007.png" in paths
    labels = Counter(cast("Any", load_digits()).target.tolist())
    assert paths == [
        f"{label:03}.{word}/{label:03}_{number:04}.png"
        for label, word in enumerate(WORDS)
        for number in range(1, labels[label] + 1)
    ]


def test_tree_holds_a_fifth_of_each_class_out(tree: dict[str, bytes]) -> None:
    """The split is by class, and the same every time."""
    assert digit_tree().keys() == tree.keys()
    assert count_images(tree) == {"train": 1438, "test": 359}
    shares = Counter(name.split("/")[1] for name in tree if name.startswith("test/"))
    assert {word.partition(".")[2] for word in shares} == set(WORDS)
    assert set(shares.values()) <= {35, 36, 37}


def test_files_are_the_digits(tree: dict[str, bytes]) -> None:
    """Each file is a PNG image of 8 by 8 pixels, and the first zero is scikit-learn's first."""
    for png in tree.values():
        with Image.open(io.BytesIO(png)) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
    first_zero = cast("Any", load_digits()).data[0].tolist()
    first = next(png for name, png in tree.items() if name.endswith("/000_0001.png"))
    with Image.open(io.BytesIO(first)) as image:
        pixels = image.tobytes()
    assert [round(value * 16 / 255) for value in pixels] == first_zero


@pytest.mark.parametrize("images", [49, 1798, -1])
def test_number_of_images_is_checked(images: int) -> None:
    """Too few to hold some of each class out, or more than there are, is an error."""
    with pytest.raises(DemoError, match=f"cannot use {images} images: take 50 to 1797"):
        digit_tree(images)


def test_shards_hold_the_same_images(tree: dict[str, bytes]) -> None:
    """Shards are named like COCO's; each sample is a PNG file and its class, side by side."""
    shards = digit_shards(tree)
    assert next(iter(shards)) == "digits-train-000000.tar"
    assert list(shards)[-1] == "digits-test-000002.tar"
    packed: dict[str, bytes] = {}
    for content in shards.values():
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = {member.name: tar.extractfile(member) for member in tar}
        for png, cls in zip(list(members)[::2], list(members)[1::2], strict=True):
            assert (png, cls) == (f"{cls[:-4]}.png", f"{png[:-4]}.cls")
        packed |= {name: file.read() for name, file in members.items() if file}
    images = {name.rpartition("/")[2]: png for name, png in tree.items()}
    labels = {f"{name[:-4]}.cls": b"%d" % int(name[:3]) for name in images}
    assert packed == images | labels


def test_bucket_goes_with_its_block(ais_cluster: LocalCluster) -> None:
    """The bucket is there in the block only, also when the block fails."""

    def use_bucket() -> None:
        with fresh_bucket(ais_cluster.endpoint, "block") as bucket:
            assert demo_buckets(ais_cluster) == [bucket.name]
            assert bucket.name.startswith("aisdatapipes-demo-block-")
            put_files(bucket, {"a/b.txt": b"hello"}, ais_cluster.endpoint)
            assert bucket.object("a/b.txt").get_reader().read_all() == b"hello"
            raise KeyError("anything")

    with pytest.raises(KeyError, match="anything"):
        use_bucket()
    assert demo_buckets(ais_cluster) == []


def test_shards_train_to_the_bar(ais_cluster: LocalCluster, tree: dict[str, bytes]) -> None:
    """From shards with all images, 95 % of those held out are right."""
    endpoint = ais_cluster.endpoint
    with fresh_bucket(endpoint, "shards") as bucket:
        put_files(bucket, digit_shards(tree), endpoint)
        url = f"ais://{bucket.name}/digits"
        result = train_and_test(
            shard_pipe(f"{url}-train-", endpoint, DIGITS),
            shard_pipe(f"{url}-test-", endpoint, DIGITS),
            count_images(tree),
            DIGITS,
        )
    assert result.accuracy >= 0.95


def test_images_that_were_not_read_are_noticed(
    stored: tuple[Bucket, dict[str, int]], ais_cluster: LocalCluster
) -> None:
    """Training counts what it got: an image that is missing does not pass for trained on."""
    bucket, counts = stored
    bucket.object("train/003.three/003_0001.png").delete()
    pipe = file_pipe(f"ais://{bucket.name}/train/", ais_cluster.endpoint, DIGITS)
    expected = f"epoch 1 read {counts['train'] - 1} images where {counts['train']} are stored"
    with pytest.raises(DemoError, match=expected):
        train_and_test(pipe, pipe, counts, DIGITS)


def test_error_in_a_worker_is_one_line(ais_cluster: LocalCluster) -> None:
    """The user sees what failed, not torch's account of where."""
    pipe = file_pipe("ais://no-such-bucket/", ais_cluster.endpoint, DIGITS)
    with pytest.raises(BucketNotFoundError) as caught, one_line_errors():
        train_and_test(pipe, pipe, {"train": 1, "test": 1}, DIGITS)
    assert str(caught.value).startswith(f"no bucket ais://no-such-bucket at {ais_cluster.endpoint}")
    assert "\n" not in str(caught.value)


def test_accuracy_below_the_bar_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With all images 95 % are required; with fewer nothing is, and the summary says so."""
    row = Row("PNG files", 1797, 219_000, 1438, 1438, Result(0.949, seconds=8))
    with pytest.raises(AccuracyError, match=r"from PNG files, the CNN got 94\.9% .* 95% is requ"):
        summarize([row], ALL_IMAGES)
    capsys.readouterr()
    summarize([row], 100)
    output = capsys.readouterr().out
    assert re.search(r"^PNG files +1,797 +0\.22 +1,438\.0 +1,438 +94\.9%$", output, re.MULTILINE)
    assert output.endswith("required with all 1,797 images only; these were 100\n")


@pytest.mark.parametrize(("module", "name"), [("PIL", "pillow"), ("sklearn", "scikit-learn")])
def test_missing_extra_says_how_to_get_it(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a library of the demo, the error names it and the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)  # what Python calls not importable
    with pytest.raises(MissingExtraError, match=rf"needs {name}: pip install .*\[demo\]"):
        run_demo()


def test_demo_runs_on_a_given_cluster(
    ais_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table at the end, nothing on stderr, and the cluster as it was before."""
    monkeypatch.setenv("AIS_ENDPOINT", ais_cluster.endpoint)
    run_demo(images=IMAGES)
    done = capsys.readouterr()
    assert done.err == ""
    assert done.out.startswith(f"AIStore cluster at {ais_cluster.endpoint}\n")
    for stored in (r"PNG files +60 +0\.01", r"tar shards +16 +0\.\d\d"):
        line = rf"^{stored} +[\d,.]+ +[\d,]+ +[\d.]+%$"
        assert re.search(line, done.out, re.MULTILINE), done.out
    assert len(re.findall(r"'ais://\S+/train/000\.zero/000_\d{4}\.png'", done.out)) == 5
    assert "these were 60" in done.out
    assert demo_buckets(ais_cluster) == []


def test_demo_brings_its_own_cluster() -> None:
    """Without ``$AIS_ENDPOINT`` the demo starts a cluster, for its own length."""
    done = run_python(*FEW_IMAGES, endpoint=None)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("local AIStore cluster at http://127.0.0.1:")


def test_command_fails_with_one_line() -> None:
    """Exit code 1, and one line on stderr that says what failed and where."""
    done = run_python("-m", "aisdatapipes", "demo", endpoint=NO_CLUSTER)
    assert done.returncode == 1
    assert f"no AIStore cluster answers at {NO_CLUSTER}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
