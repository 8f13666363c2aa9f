"""Jobs that torchrun starts: ranks share a dataset and make equally many steps."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aistore.sdk import Bucket

from conftest import PutObject
from support.pairs import fill
from support.torchrun import torchrun

TESTS = Path(__file__).parent
STEPS = re.compile(r"epoch \d step \d+")
EXAMPLE = TESTS.parent / "examples" / "train_ddp.py"


def test_two_ranks_with_two_workers(
    ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """Shares are disjoint, their union is everything, and both ranks make equally many steps."""
    pairs = fill(ais_bucket, put_object, 48)
    endpoint = ais_bucket.client.base_url.removesuffix("/v1")
    job = TESTS / "support" / "torchrun_job.py"
    torchrun(endpoint, job, f"ais://{ais_bucket.name}/", "fork", str(tmp_path))
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    read = [[name for batch in batches for name in batch] for batches in (one, two)]
    assert sorted(read[0] + read[1]) == [name for name, _ in pairs]
    assert len(one) == len(two) == 6


def test_uneven_ranks(ais_bucket: Bucket, put_object: PutObject, tmp_path: Path) -> None:
    """One object more than fits: one comes twice, and no rank waits for another."""
    pairs = fill(ais_bucket, put_object, 49)
    endpoint = ais_bucket.client.base_url.removesuffix("/v1")
    job = TESTS / "support" / "torchrun_job.py"
    torchrun(endpoint, job, f"ais://{ais_bucket.name}/", "fork", str(tmp_path))
    one, two = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    read = [name for batch in (*one, *two) for name in batch]
    assert set(read) == {name for name, _ in pairs}
    assert len(read) == 50
    assert len(one) == len(two)


def test_the_example_trains_and_resumes(
    ais_bucket: Bucket, put_object: PutObject, tmp_path: Path
) -> None:
    """The DDP script learns, and goes on from a checkpoint, also with fewer ranks."""
    for number in range(640):
        digit, pixels = number % 10, bytearray(64)
        pixels[6 * digit : 6 * digit + 8] = bytes([200 + number % 50] * 8)
        put_object(ais_bucket, f"{digit}/{number:04d}", bytes(pixels))
    endpoint = ais_bucket.client.base_url.removesuffix("/v1")
    arguments = (f"ais://{ais_bucket.name}/", str(tmp_path / "digits.pt"), "--epochs=2")
    whole = torchrun(endpoint, EXAMPLE, *arguments)
    # 640 objects, two ranks, batches of 16: 20 steps in an epoch, the last checkpoint at 35.
    assert set(STEPS.findall(whole)) == {"epoch 0 step 20", "epoch 1 step 40"}
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d+)", whole)]
    assert losses[-1] < losses[0] / 2
    # One rank makes ten steps of what would be five of two ranks.
    alone = torchrun(endpoint, EXAMPLE, *arguments, ranks=1)
    assert STEPS.findall(alone) == ["epoch 1 step 45"]
