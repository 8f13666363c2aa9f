"""The benchmark's own arithmetic on given numbers, and one small run of two real readers."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.__main__ import works_of
from benchmarks.chart import draw_chart
from benchmarks.data import SMALL
from benchmarks.job import Job, Run
from benchmarks.plan import BARS, READERS, WORKS, Bar, Reader, Work
from benchmarks.results import Row, Verdict, judge, to_json
from benchmarks.runner import measure_all
from benchmarks.table import format_table

WORK = Work("A", "Small objects", "objects/s", "objects", "theirs")
JOB = Job("http://localhost:8080", "objects", 1000, 50_000)


def run(seconds: float, *, first_item_s: float = 0.1, count: int = 1000, peak_mb: int = 5) -> Run:
    """A reading of 1,000 items, or of fewer."""
    return Run(seconds, first_item_s, count, 50_000, peak_mb * 10**6)


def row(name: str, *runs: Run, kind: str = "peer", most: int = 0, error: str = "") -> Row:
    """What a reader of that name reached."""
    reader = Reader("A", name, "none:none", kind, most)  # pyright: ignore[reportArgumentType]
    return Row(WORK, reader, JOB, list(runs), error)


ROWS = [
    row("theirs", run(10), run(20), run(11)),
    row("theirs, in parts", run(2, count=500), most=500),
    row("ours", run(1), run(0.5, peak_mb=9), run(2), kind="ours"),
    row("broken <peer>", error="ModuleNotFoundError: none"),
]


def reached(bar: Bar) -> Verdict:
    """What becomes of a bar with `ROWS`."""
    return judge(ROWS, [bar])[0]


def test_rates_are_medians_and_count_what_was_read() -> None:
    """A reader that stops early has the rate of what it read."""
    assert [each.rate for each in ROWS[:3]] == pytest.approx([1000 / 11, 250, 1000])


def test_a_bar_compares_with_the_best_of_the_others() -> None:
    """And is met from its bound on."""
    verdict = reached(Bar("A", "ours", "rate", 4, ("theirs", "theirs, in parts")))
    assert (verdict.other, verdict.reached, verdict.is_met) == ("theirs, in parts", 4, True)
    assert not reached(Bar("A", "ours", "rate", 4.1, ("theirs, in parts",))).is_met


def test_the_first_item_and_the_memory_must_not_be_more() -> None:
    """Bounds of times and megabytes are upper ones; memory is a difference."""
    assert reached(Bar("A", "ours", "first item", 1.2, ("theirs",))).is_met
    assert reached(Bar("A", "ours", "memory", 9)).is_met
    assert [reached(Bar("A", "ours", "seconds", most)).is_met for most in (1, 0.9)] == [True, False]
    growth = reached(Bar("A", "ours", "memory", 3, ("theirs",)))
    assert (growth.reached, growth.is_met) == (4, False)


def test_a_failed_reader_leaves_its_bars_unmet() -> None:
    """The rest of the bars is judged all the same."""
    verdict = reached(Bar("A", "ours", "rate", 1, ("broken <peer>",)))
    assert (verdict.reached, verdict.is_met) == (None, False)


def test_table_json_and_chart_show_every_reader() -> None:
    """The table and the JSON with why one failed; the chart is sound XML without it."""
    verdicts = judge(ROWS, [Bar("A", "ours", "rate", 4, ("theirs",))])
    table = format_table(ROWS, verdicts)
    results = json.loads(json.dumps(to_json(ROWS, verdicts, {"cores": 2})))
    chart = "".join(ET.fromstring(draw_chart(ROWS)).itertext())
    for each in ROWS:
        assert each.reader.name in table
        assert (each.reader.name in chart) is not bool(each.error)
    assert "11.00 x" in table
    assert "ModuleNotFoundError" in table
    assert [each.get("rate") for each in results["rows"]] == [90.9, 250, 1000, None]
    assert results["bars"][0]["is_met"] is True


def test_every_bar_is_about_readers_that_there_are() -> None:
    """And no name stands for two readers of a work."""
    names = [(reader.work, reader.name) for reader in READERS]
    assert len(set(names)) == len(names)
    assert {work.code for work in WORKS} == {reader.work for reader in READERS}
    assert {work.letter for work in WORKS} == set("ABCDEFG")
    for bar in BARS:
        for name in (bar.reader, *bar.others):
            assert (bar.work, name) in names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where temporary files are made meanwhile."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def measured(folder: Path) -> list[Row]:
    """A small run of two works: real processes and one real cluster, whose answers are late once.

    Of the second work there is one of several with the letter F.
    """
    chosen = {"load_files_by_ais": "ours:files", "GetBatch": "limits:get_batch"}
    readers = [
        Reader("A", name, function, yields_items=function == "ours:files")
        for name, function in chosen.items()
    ]
    readers.append(Reader("A", "broken", "ours:none"))
    readers += [
        Reader("F7", name, f"files:{name}", data=data, options={"protocol": "ais"})
        for name, data in [("cat", ""), ("get", "a third of the files")]
    ]
    late = Work("A", "Small objects", "objects/s", "objects", "GetBatch", delay_s=0.05)
    files = next(work for work in WORKS if work.code == "F7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        return list(measure_all([late, files], readers, SMALL, rounds=1))


def test_two_readers_read_a_small_bucket_from_far_away(measured: list[Row]) -> None:
    """What breaks is told, not raised."""
    ours, batch, broken = measured[:3]
    assert ours.runs[0].count == SMALL.objects
    assert ours.runs[0].size == ours.job.size < batch.runs[0].size
    assert min(ours.first_item_s, batch.first_item_s) > 0.05
    assert (broken.runs, "none" in broken.error) == ([], True)


def test_nothing_is_left_of_the_readers(measured: list[Row], folder: Path) -> None:
    """What they keep in temporary files, as those that `get` copies, is removed with them."""
    assert measured
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "codes"),
    [("AF2", {"A", "F2"}), ("F", {f"F{number}" for number in range(1, 12)})],
)
def test_works_are_chosen_by_letter_or_code(text: str, codes: set[str]) -> None:
    """A letter is for all works that have it."""
    assert {work.code for work in works_of(text)} == codes


@pytest.mark.parametrize("text", ["", "f2", "F12", "AZ"])
def test_a_work_that_is_not_there(text: str) -> None:
    """It is refused, not left out."""
    with pytest.raises(argparse.ArgumentTypeError, match="no work"):
        works_of(text)


def test_files_are_read_by_our_filesystem(measured: list[Row]) -> None:
    """Many at once and by folder, checked to the byte."""
    rows = measured[3:]
    assert [row.error for row in rows] == ["", ""]
    assert [row.runs[0].count for row in rows] == [SMALL.files, SMALL.files // 3]
    assert [row.runs[0].size for row in rows] == [row.job.size for row in rows]
