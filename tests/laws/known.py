"""Cases that once broke a law, made as small as they get; every run of the tests has them."""

from __future__ import annotations

from laws.cases import Case
from laws.shards import Row

__all__ = ["KNOWN"]

KNOWN: dict[str, Case] = {
    "blocks of shards in a loader with workers": Case(
        kind="by index",
        rows=(Row(5), Row(2)),
        shuffle=True,
        mode="stateful",
        workers=1,
        batch=3,
        sampler="blocks",
        plan="epochs",
        epochs=(0, 1),
    ),
    "a stop near the end, with drop": Case(
        rows=(
            Row(5),
            Row(3),
            Row(1),
            Row(8),
        ),
        world=2,
        uneven="drop",
        shuffle=True,
        seed=2,
        mode="stateful",
        workers=2,
        batch=5,
        plan="resume",
        stops=(-1,),
    ),
    "a stop where a stream has dropped": Case(
        kind="streams",
        rows=(
            Row(8),
            Row(8),
            Row(8),
            Row(1),
            Row(5),
        ),
        world=2,
        uneven="drop",
        seed=2,
        mode="stateful",
        workers=2,
        batch=2,
        prefetch=1,
        plan="resume",
        stops=(3,),
    ),
    "a stop in the replacement of a cut shard": Case(
        rows=(Row(4, faults=("content",), cut=2),), on_error="give", plan="resume", stops=(3,)
    ),
    "another shuffle buffer": Case(
        rows=(Row(6, formats=("gzip",)),),
        shuffle=True,
        buffer=2,
        plan="resume",
        stops=(2,),
        carriers=("buffer",),
    ),
    "a state before the first sample, after a merge": Case(
        rows=(Row(2),), plan="elastic", stops=(2,), worlds=((3, 0),), is_peeked=True
    ),
    "a cut shard in the padding": Case(
        rows=(
            Row(5, faults=("content",), cut=3),
            Row(8),
        ),
        world=2,
        on_error="skip",
    ),
    "epochs of a copy with persistent workers": Case(
        kind="objects",
        rows=(
            Row(1),
            Row(1),
        ),
        shuffle=True,
        mode="plain",
        workers=1,
        is_persistent=True,
        plan="epochs",
        carriers=("pickle",),
        epochs=(0, 1, 2),
    ),
    "the next epoch after a state of the end": Case(rows=(Row(1),), plan="end"),
    "a state that a copy has loaded": Case(
        rows=(Row(1),),
        mode="stateful",
        plan="elastic",
        stops=(3,),
        carriers=("deepcopy",),
        worlds=((1, 1),),
    ),
    "a stop in the replacement of a missing shard": Case(
        rows=(Row(4, faults=("missing",)),),
        is_listed=False,
        on_error="give",
        plan="resume",
        stops=(3,),
    ),
    "a cut shard of a counted stream": Case(
        kind="streams",
        rows=(
            Row(3, faults=("content",)),
            Row(1),
        ),
        world=2,
        uneven="keep",
        on_error="skip",
    ),
    "a last shard without its end mark": Case(
        kind="streams",
        rows=(
            Row(3, formats=("ustar", "ustar"), faults=("", "")),
            Row(3, formats=("ustar", "ustar"), faults=("", "noend")),
        ),
        on_error="skip",
    ),
    "a replacement where ranks pad": Case(
        rows=(
            Row(4, faults=("garbage",)),
            Row(2),
        ),
        world=2,
        on_error="give",
    ),
    "shards that a busy cluster cannot count": Case(world=2, uneven="drop", plan="busy"),
    "files that a busy cluster cannot count": Case(
        kind="streams",
        rows=(
            Row(2),
            Row(1),
        ),
        uneven="keep",
        on_error="skip",
        plan="busy",
    ),
}
