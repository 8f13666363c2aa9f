"""What ranks read: written by the jobs, one line for each epoch, and judged by the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from frameworks.front_ends import numbers_in


def write(
    folder: str, case: str, rank: int, epoch: int, batches: Iterable[Any], **more: Any
) -> None:
    """Append what one rank read in one epoch.

    Args:
        folder: Where the files of the ranks are.
        case: What was read; it begins with the front end.
        rank: Which.
        epoch: Which.
        batches: Tensors of numbers.
        more: ``length``, what `len` said of the loader; ``padding``, what the dataset says that
            it repeated in this epoch and those before; or ``error``.
    """
    read = [batch.tolist() for batch in batches]
    line = {"case": case, "rank": rank, "epoch": epoch, "batches": read, **more}
    with Path(folder, f"{rank}.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


class Record:
    """What the ranks of a job wrote.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        texts = [path.read_text().splitlines() for path in folder.glob("*.jsonl")]
        lines = [json.loads(line) for text in texts for line in text]
        self._lines = sorted(lines, key=lambda line: (line["epoch"], line["rank"]))

    def epochs(self, case: str) -> list[list[dict[str, Any]]]:
        """Return the lines of a case, by epoch and rank."""
        mine = [line for line in self._lines if line["case"] == case]
        numbers = sorted({line["epoch"] for line in mine})
        return [[line for line in mine if line["epoch"] == number] for number in numbers]

    def errors(self, case: str) -> list[str]:
        """Return what was raised."""
        return [line["error"] for epoch in self.epochs(case) for line in epoch if "error" in line]

    def assert_exact(self, case: str, padding: int = 0, ranks: int = 2, lost: int = 0) -> None:
        """Hold a case to what is promised, in each of two epochs, whose orders differ.

        The ranks make equally many steps, as many as `len` said if it said anything, and have
        together everything, and nothing twice but what the dataset counts as padding.

        Args:
            case: Which.
            padding: How many the framework may repeat in an epoch.
            ranks: How many there are.
            lost: How many the framework may lose in an epoch.
        """
        assert not self.errors(case)
        epochs, counted = self.epochs(case), 0
        assert [len(epoch) for epoch in epochs] == [ranks, ranks], "not two epochs of every rank"
        for epoch in epochs:
            padded = sum(line.get("padding", 0) for line in epoch)
            self._assert_epoch(epoch, numbers_in(case.split()[0]), padded - counted, padding, lost)
            counted = padded
        first, second = ([line["batches"] for line in epoch] for epoch in epochs)
        assert first != second, "both epochs have the same order"

    @staticmethod
    def _assert_epoch(
        epoch: list[dict[str, Any]], expected: set[int], counted: int, padding: int, lost: int
    ) -> None:
        read = [number for line in epoch for batch in line["batches"] for number in batch]
        assert set(read) <= expected
        assert len(set(read)) >= len(expected) - lost, f"{len(set(read))} of {len(expected)}"
        repeated = len(read) - len(set(read))
        assert counted <= repeated <= counted + padding, f"{repeated} repeated, {counted} counted"
        steps = {len(line["batches"]) for line in epoch}
        assert len(steps) == 1, "some ranks make more steps"
        assert {line.get("length") for line in epoch} <= {None, *steps}, "len is wrong"
