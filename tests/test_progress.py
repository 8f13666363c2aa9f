"""The progress pipe: hands everything on, and shows objects and megabytes per second."""

from __future__ import annotations

import io
import sys

import pytest
from aistore.sdk import Bucket

from aisdatapipes import AISFileLoader, AISProgress
from aisdatapipes.datapipes import IterableWrapper
from aisdatapipes.testing import LocalCluster
from conftest import PutObject


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_it_hands_everything_on(
    ais_bucket: Bucket,
    put_object: PutObject,
    ais_cluster: LocalCluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Objects pass unchanged; the bar shows how many, of how many, and megabytes per second."""
    for number in range(5):
        put_object(ais_bucket, f"{number}", bytes(300_000))
    urls = [f"ais://{ais_bucket.name}/{number}" for number in range(5)]
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    pipe = AISFileLoader(urls, ais_cluster.endpoint).show_progress_by_ais("reading")
    assert [(url, len(stream.read())) for url, stream in pipe] == [(url, 300_000) for url in urls]
    shown = terminal.getvalue().rpartition("\r")[2]
    assert "reading: 100%" in shown
    assert "5/5" in shown
    assert "MB/s" in shown


def test_it_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log file or a notebook's worker no bar is drawn."""
    assert list(AISProgress(IterableWrapper([1, 2, 3]))) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_its_length_is_that_of_the_source() -> None:
    """``len`` passes through, and a source without one is fine."""
    assert len(AISProgress(IterableWrapper([1, 2, 3]))) == 3
    assert list(AISProgress(iter([1, 2]))) == [1, 2]


@pytest.mark.parametrize(
    "item", [{"jpg": b"12345", "__key__": "1"}, ("url", b"12345"), b"12345", "text", 7, None]
)
def test_it_takes_anything(item: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples, tuples and whatever else comes by are counted, and never break it."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(AISProgress(IterableWrapper([item]))) == [item]
