"""Cases: plain data that says which shards are read how, drawn from one number."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from random import Random
from typing import Any, Literal

from laws.shards import FAULTS, FORMATS, Row

PLANS = ("whole", "resume", "elastic", "epochs", "end", "busy")
LAYOUTS = 40
INDEXED = ("dealt", "by index", "chain")
"""Kinds that have an index of the samples."""
"""How many different sets of shards there are for each kind; they are written once in a run."""


@dataclass(frozen=True)
class Case:
    """What is read, how, and what is done meanwhile.

    Attributes:
        kind: Which dataset, by the name of its adapter.
        rows: What there is to read.
        is_listed: Whether sizes are known from a listing.
        world: Number of ranks.
        mode: Whether the dataset is iterated alone, by torch's loader, or by the one with a state.
        workers: Of the loader.
        batch: Its batch size; 0 for None.
        sampler: Which one says what to read, where samples are read by index.
        share: How many in ten of the samples there are to choose from, by index.
        stops: After how many steps the reading stops, one after another; negative before the end.
        carriers: Into what each state is loaded.
        worlds: Ranks, and workers of each, that go on after each merge.
        is_peeked: Whether a merged state is taken and loaded once more before the first step.
        epochs: The numbers of epochs, one after another.
        number: What the case was drawn from; reduced cases keep it.
    """

    kind: str = "shards"
    rows: tuple[Row, ...] = (Row(3), Row(2))
    is_listed: bool = True
    world: int = 1
    uneven: Literal["pad", "drop", "keep"] = "pad"
    shuffle: bool = False
    seed: int = 0
    buffer: int = 4
    run: int = 1
    on_error: Literal["raise", "skip", "none", "give"] = "raise"
    max_errors: int | None = None
    mode: Literal["direct", "plain", "stateful"] = "direct"
    workers: int = 0
    batch: int = 0
    sampler: Literal["distributed", "blocks", "weighted"] = "distributed"
    share: int = 10
    drop_last: bool = False
    start: str = "fork"
    prefetch: int = 2
    is_persistent: bool = False
    snapshot: int = 1
    plan: str = "whole"
    stops: tuple[int, ...] = ()
    carriers: tuple[str, ...] = ("new",)
    worlds: tuple[tuple[int, int], ...] = ()
    is_peeked: bool = False
    epochs: tuple[int, ...] = (0,)
    number: int | None = None

    @property
    def width(self) -> int:
        """How many streams there are."""
        return len(self.rows[0].formats) if self.rows else 1

    @property
    def is_whole(self) -> bool:
        """Whether all of it can be read."""
        return not any(row.is_broken for row in self.rows)

    def dumps(self) -> str:
        """Return what `loads` makes it of: what differs from the default, as JSON."""
        default = asdict(Case())
        changed = {name: one for name, one in asdict(self).items() if one != default[name]}
        if "rows" in changed:
            changed["rows"] = [_short(row) for row in self.rows]
        return json.dumps(changed)

    @classmethod
    def loads(cls, text: str) -> Case:
        """Return the case that `dumps` wrote."""
        found: dict[str, Any] = {name: _frozen(one) for name, one in json.loads(text).items()}
        if "rows" in found:
            found["rows"] = tuple(
                Row(**{k: _frozen(v) for k, v in r.items()}) for r in found["rows"]
            )
        return cls(**found)


def _short(row: Row) -> dict[str, Any]:
    default = {one.name: one.default for one in fields(Row) if one.default is not MISSING}
    return {k: v for k, v in asdict(row).items() if k not in default or v != default[k]}


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def draw(number: int) -> Case:
    """Return the case of a number."""
    random = Random(number)
    kinds = ("objects", "shards", "shards", "streams", "streams", *INDEXED)
    kind = random.choice(kinds)
    plan = random.choices(PLANS, (4, 6, 5, 4, 2, 2))[0]
    rows = draw_rows(kind, random.randrange(LAYOUTS))
    case = Case(
        kind=kind,
        rows=rows,
        plan=plan,
        is_listed=random.random() < 0.6,
        world=random.choice((1, 1, 2, 2, 3, 4)),
        uneven=random.choice(("pad", "pad", "drop", "drop", "keep")),
        shuffle=random.random() < 0.5,
        seed=random.randrange(5),
        buffer=random.choice((1, 2, 3, 8, 20)),
        on_error=random.choice(("raise", "skip", "none", "give", "give")),
        run=random.choice((1, 1, 2, 3)) if kind in ("objects", "by index") else 1,
    )
    if kind in ("by index", "chain"):
        case = _with_sampler(case, random)
    case = _with_loader(_with_errors(case, random), random)
    return replace(_with_script(case, random), number=number)


def draw_rows(kind: str, layout: int) -> tuple[Row, ...]:
    """Return the rows of a layout: half of the layouts are whole."""
    random = Random(f"{kind} {layout}")
    width = random.choice((1, 2, 2, 3)) if kind == "streams" else 1
    wrong = 0.0 if layout % 2 else random.choice((0.15, 0.4))
    return tuple(_row(kind, width, wrong, random) for _ in range(random.randint(1, 7)))


def _row(kind: str, width: int, wrong: float, random: Random) -> Row:
    is_wrong = random.random() < wrong
    if kind == "objects":
        return Row(1, faults=(random.choice(FAULTS[-2:]) if is_wrong else "",))
    if kind in INDEXED:
        return _indexed_row(kind, random, is_wrong=is_wrong)
    formats = tuple(random.choice((*FORMATS, "ustar", "ustar")) for _ in range(width))
    count = max(random.choice((0, 1, 2, 3, 4, 5, 6, 8)), int(is_wrong))
    faults = [""] * width
    while is_wrong:  # in one stream, sometimes in two
        faults[random.randrange(width)] = random.choice(FAULTS)
        is_wrong = random.random() < 0.2
    return Row(count, formats, tuple(faults), random.randrange(count) if any(faults) else 0)


def _indexed_row(kind: str, random: Random, *, is_wrong: bool) -> Row:
    """Return a shard that can be indexed, and may vanish then; now and then one of some hundred."""
    formats = (random.choice(("ustar", "pax", "gnu")),)
    if is_wrong:
        return Row(random.randint(1, 5), formats, ("vanishing",))
    # From 512 samples on those that are dealt together are several.
    count = 600 if random.random() < 0.015 else random.choice((0, 1, 2, 4, 8))
    return Row(count, formats, is_apart=kind != "dealt" and random.random() < 0.2)


def _with_sampler(case: Case, random: Random) -> Case:
    """Choose what is read by index, and make the plan one that has a meaning there."""
    plans = ("whole", "resume", "epochs") if case.kind == "by index" else ("whole", "resume")
    plan = case.plan if case.plan in plans else "resume"
    if case.kind == "chain":
        return replace(case, plan=plan)
    sampler = random.choices(("distributed", "blocks", "weighted"), (3, 5, 1))[0]
    share = random.choice((10, 10, 7, 3)) if sampler != "blocks" else 10
    # The weighted one draws other samples each time, and has no state of its own.
    return replace(
        case, plan="whole" if sampler == "weighted" else plan, sampler=sampler, share=share
    )


def _with_errors(case: Case, random: Random) -> Case:
    """Say what the case expects to go wrong."""
    if case.is_whole or case.plan == "busy":
        return replace(case, rows=tuple(replace(r, faults=("",) * case.width) for r in case.rows))
    if case.on_error == "raise" and case.plan != "whole":
        return replace(case, on_error="skip")
    if case.on_error in ("skip", "none") and case.plan == "whole" and random.random() < 0.5:
        return replace(case, uneven="keep", max_errors=random.randrange(3))
    return case


def _with_loader(case: Case, random: Random) -> Case:
    is_stateful = case.plan in ("resume", "elastic", "end")
    if case.plan == "busy" or random.random() < (0.4 if case.plan == "epochs" else 0.6):
        return case
    workers = random.choice((0, 1, 1, 2, 2, 3))
    return replace(
        case,
        mode="stateful" if is_stateful or random.random() < 0.4 else "plain",
        world=min(case.world, 2),
        workers=workers,
        batch=random.choice((0, 1, 2, 3, 5)),
        drop_last=_may_drop_last(case) and random.random() < 0.2,
        start=random.choices(("fork", "forkserver", "spawn"), (200, 2, 1))[0],
        prefetch=random.choice((1, 2, 4)),
        is_persistent=bool(workers) and random.random() < 0.3,
        snapshot=random.choice((1, 1, 2, 4)) if case.plan in ("resume", "end") else 1,
    )


def _may_drop_last(case: Case) -> bool:
    return case.kind != "chain" and case.plan in ("whole", "resume")


def _with_script(case: Case, random: Random) -> Case:
    """Choose what is done, in the plan of the case."""
    carriers = ("new", "same", "deepcopy", "pickle", "loaded deepcopy", "loaded pickle", "buffer")
    if case.plan == "resume":
        stops = tuple(
            random.choice((0, 1, 1, 2, 3, 5, 99, -1, -1, -2)) for _ in range(random.randint(1, 3))
        )
        chosen = tuple(random.choice(carriers) for _ in stops)
        return replace(case, stops=stops, carriers=chosen, epochs=(random.choice((0, 0, 3)),))
    if case.plan == "elastic":
        most = 2 if case.mode == "stateful" else 4
        count = random.choice((1, 1, 2))
        worlds = tuple(
            (random.randint(1, most), random.randint(0, 2) if case.mode == "stateful" else 0)
            for _ in range(count)
        )
        stops = tuple(random.choice((0, 1, 2, 3, 5, 9)) for _ in worlds)
        return replace(
            case,
            stops=stops,
            worlds=worlds,
            carriers=(random.choice(carriers[:-1]),),
            is_peeked=random.random() < 0.5,
        )
    if case.plan == "epochs":
        shuffle = case.shuffle or random.random() < 0.5
        return replace(
            case, shuffle=shuffle, epochs=(0, 1, 2), carriers=(random.choice(carriers[:4]),)
        )
    return case
