"""A bucket that changes while it is read: one whole version of each object, or an error of ours.

What is expected is the table in ``docs/promises.md``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from aistore.sdk import Bucket

from aisdatapipes.errors import AISPipeError
from conftest import PutObject
from support.changing import BIG, NAMES, READERS, Found, Reader
from support.fault_rules import BeforeNext, Cut, Meanwhile, Rule
from support.faults import FaultProxy

DOCUMENT = Path(__file__).parent.parent / "docs" / "promises.md"
READS_OF_BIG = f"GET /v1/objects/.*{BIG}.*pid="  # at the target: the proxy redirects there
AFTER_BYTES = 100_000

Change = Callable[[], None]
Event = Callable[[Bucket, PutObject, Reader], None]


def add(bucket: Bucket, put: PutObject, reader: Reader) -> None:
    """Put objects between those that are there, and behind them."""
    for name in ("1-after", "3-small"):
        put(bucket, name, reader.stored("old", BIG))


def replace_all(version: str) -> Event:
    """Return what overwrites every object."""

    def replace(bucket: Bucket, put: PutObject, reader: Reader) -> None:
        for name in NAMES:
            put(bucket, name, reader.stored(version, name))

    return replace


def delete(bucket: Bucket, put: PutObject, reader: Reader) -> None:  # noqa: ARG001
    """Delete the big one."""
    bucket.object(BIG).delete()


def destroy(bucket: Bucket, put: PutObject, reader: Reader) -> None:  # noqa: ARG001
    """Take the bucket away, with all it has."""
    bucket.delete()


EVENTS: dict[str, Event] = {
    "another object is added": add,
    "the object is overwritten, by as many bytes": replace_all("new"),
    "the object is overwritten, by fewer bytes": replace_all("shorter"),
    "the object is deleted": delete,
    "the bucket is destroyed": destroy,
}


def table() -> dict[str, list[str]]:
    """Return the documented rows, by what happens: the words in the other columns."""
    section = DOCUMENT.read_text().partition("## When the bucket changes")[2].partition("\n## ")[0]
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in rows[2:]}


def test_the_table_is_about_what_is_tested() -> None:
    """It has a row for each event, and no other."""
    assert list(table()) == list(EVENTS)


def no_rules(reader: Reader, change: Change) -> list[Rule]:  # noqa: ARG001
    """Let it happen before anything is read."""
    change()
    return []


def in_mid_stream(reader: Reader, change: Change) -> list[Rule]:
    """Let it happen while the big object comes."""
    if reader.asks_again:
        return [BeforeNext(matches=READS_OF_BIG, action=change)]
    return [Meanwhile(AFTER_BYTES, matches=READS_OF_BIG, action=change)]


def at_a_break(reader: Reader, change: Change) -> list[Rule]:
    """Let it happen where the connection of the big object breaks."""
    # At the target first: while it sends an object, whoever changes that has to wait.
    cut = [] if reader.asks_again else [Cut(AFTER_BYTES, matches=READS_OF_BIG)]
    return [BeforeNext(matches=READS_OF_BIG, action=change), *cut]


MOMENTS = [no_rules, in_mid_stream, at_a_break]


def versions_of(reader: Reader, name: str, contents: list[bytes]) -> list[str]:
    """Return the versions that this is of, as far as it came."""
    versions = ["old", "new", "shorter"]
    return [one for one in versions if contents == reader.contents(one, name)[: len(contents)]]


def check(
    reader: Reader, found: Found, skipped: list[str], error: AISPipeError | None, bucket: str
) -> None:
    """Whatever happens: nothing is a mixture, and nothing is missing that nobody tells of."""
    assert set(found) | set(skipped) <= set(NAMES)
    for name, contents in found.items():
        assert versions_of(reader, name, contents), f"{name} is a mixture"
        if name not in skipped and (error is None or name not in str(error)):
            assert contents in [reader.contents(one, name) for one in ("old", "new", "shorter")]
    if error is None:
        assert set(found) | set(skipped) == set(NAMES)
    else:
        assert f"ais://{bucket}" in str(error)
        assert ": " in str(error)  # what to do


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("kind", READERS)
def test_changes(
    ais_bucket: Bucket, put_object: PutObject, faults: FaultProxy, kind: str, event: str
) -> None:
    """At each moment there comes of the big object what the table says; skipped if that fails."""
    reader = READERS[kind]
    for place, moment in enumerate(MOMENTS):
        words = table()[event][2 if reader.asks_again and place else place]
        can_be_skipped = reader.skips and "overwritten" not in event and "Error" in words
        for on_error in ("raise", "skip") if can_be_skipped else ("raise",):
            ais_bucket.delete(missing_ok=True)
            ais_bucket.create()
            came = Trial(reader, ais_bucket, put_object, event).run(faults, moment, on_error)
            due = words if on_error == "raise" else skipped_as(kind, event, moment, words)
            assert came == due, (moment.__name__, on_error)


def skipped_as(kind: str, event: str, moment: object, words: str) -> str:
    """Return what comes of the big object where ``on_error`` is ``"skip"``."""
    if kind in ("pipe of files", "pipe of tars") and moment is at_a_break:
        return words  # it was given out already
    if kind == "AISMapDataset" and event == "the bucket is destroyed":
        return "TooManyErrorsError"  # nothing is left of a batch
    return "skipped"


class Trial:
    """One reader, and one event."""

    def __init__(self, reader: Reader, bucket: Bucket, put: PutObject, event: str) -> None:
        self._reader, self._bucket, self._put, self._event = reader, bucket, put, event
        self._has_happened = threading.Event()
        for name in NAMES:
            put(bucket, name, reader.stored("old", name))

    def run(
        self, faults: FaultProxy, moment: Callable[[Reader, Change], list[Rule]], on_error: str
    ) -> str:
        """Let it happen; return what comes of the big object, in the words of the table."""
        found: Found = {}
        skipped: list[str] = []
        error: AISPipeError | None = None
        read = self._reader.begin(faults.endpoint, self._bucket.name, on_error)
        faults.rules[:] = moment(self._reader, self._happen)
        try:
            skipped += [url.removeprefix(f"ais://{self._bucket.name}/") for url in read(found)]
        except AISPipeError as raised:
            error = raised
        assert all(faults.hits(rule) for rule in faults.rules)
        assert self._has_happened.wait(30)
        check(self._reader, found, skipped, error, self._bucket.name)
        return self._words(found, skipped, error)

    def _happen(self) -> None:
        EVENTS[self._event](self._bucket, self._put, self._reader)
        self._has_happened.set()

    def _words(self, found: Found, skipped: list[str], error: AISPipeError | None) -> str:
        if BIG in skipped:
            return "skipped"
        contents = found.get(BIG)
        if contents in [self._reader.contents(one, BIG) for one in ("new", "shorter")]:
            return "the new version"
        if contents != self._reader.contents("old", BIG):
            return type(error).__name__
        return "nothing" if "added" in self._event else "the old version"
