"""The shards of cases in a real bucket: written once for each layout, deleted as cases say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aistore.sdk import Bucket

from aisdatapipes import Manifest, ShardIndex
from conftest import PutObject
from laws.cases import Case
from laws.shards import shard_content

T = TypeVar("T")


@dataclass
class Layout:
    """The shards of some rows in the bucket.

    Attributes:
        prefix: What all their names begin with.
        names: By row and stream.
        contents: What they hold, by name.
        replacements: What an ``on_error`` function gives, by name.
        fleeting: Names that go, and why: ``missing`` or ``vanishing``.
        gone: Names that are deleted now.
    """

    prefix: str
    names: list[list[str]]
    contents: dict[str, bytes]
    replacements: dict[str, bytes]
    fleeting: dict[str, str]
    gone: set[str] = field(default_factory=set)
    manifests: dict[bool, Manifest] = field(default_factory=dict)
    index: ShardIndex | None = None


class Store:
    """All layouts of a run.

    Args:
        bucket: Where they are.
        put_object: Writes an object.
        endpoint: Of the cluster.

    Attributes:
        known: What was found out about cases, for others to use.
    """

    def __init__(self, bucket: Bucket, put_object: PutObject, endpoint: str) -> None:
        self.bucket = bucket
        self.endpoint = endpoint
        self._put_object = put_object
        self._layouts: dict[str, Layout] = {}
        self.known: dict[Any, Any] = {}

    def layout(self, case: Case) -> Layout:
        """Return the shards of a case; they are written if no case had them yet."""
        key = hashlib.sha256(repr((case.kind, case.rows)).encode()).hexdigest()[:12]
        if key not in self._layouts:
            self._layouts[key] = self._written(case, f"{key}/")
        return self._layouts[key]

    def urls(self, names: list[str]) -> list[str]:
        """Return the URLs of objects."""
        return [f"ais://{self.bucket.name}/{name}" for name in names]

    def manifest(self, layout: Layout, *, is_listed: bool) -> Manifest:
        """Return the objects of one stream, with their sizes if a listing tells them."""
        if is_listed not in layout.manifests:
            self._restore(layout)
            names = [row[0] for row in layout.names]
            url = f"ais://{self.bucket.name}/{layout.prefix}"
            layout.manifests[is_listed] = (
                Manifest.build(url, client_url=self.endpoint)
                if is_listed
                else Manifest.from_urls(self.urls(names))
            )
        return layout.manifests[is_listed]

    def index(self, layout: Layout) -> ShardIndex:
        """Return where the samples are, in the shards that are there and in those that vanish."""
        if layout.index is None:
            manifest = self.manifest(layout, is_listed=True)
            self._restore(layout)
            layout.index = ShardIndex.build(manifest=manifest)
        return layout.index

    def made(self, layout: Layout, make: Callable[[], T], *, is_listing: bool) -> T:
        """Make a dataset while the shards that vanish are there, and let them vanish then.

        Args:
            layout: What it reads.
            make: Makes it.
            is_listing: Whether it lists, so that shards which are missing are missing later.
        """
        self._restore(layout)
        if not is_listing:
            missing = {name for name, why in layout.fleeting.items() if why == "missing"}
            self._delete(layout, missing)
        try:
            return make()
        finally:
            self._delete(layout, set(layout.fleeting))

    def _restore(self, layout: Layout) -> None:
        for name in layout.gone:
            self._put_object(self.bucket, name, layout.contents[name])
        layout.gone.clear()

    def _delete(self, layout: Layout, names: set[str]) -> None:
        for name in names - layout.gone:
            self.bucket.object(name).delete()
        layout.gone |= names

    def _written(self, case: Case, prefix: str) -> Layout:
        layout = Layout(prefix, [], {}, {}, {})
        for number, row in enumerate(case.rows):
            layout.names.append([])
            for stream in range(case.width):
                name = f"{prefix}s{stream}/{number:02d}"
                layout.names[-1].append(name)
                for contents, is_replacement in (
                    (layout.contents, False),
                    (layout.replacements, True),
                ):
                    contents[name] = self._content(case, number, stream, is_replacement)
                if row.faults[stream] in ("missing", "vanishing"):
                    layout.fleeting[name] = row.faults[stream]
        for name, content in layout.contents.items():
            self._put_object(self.bucket, name, content)
        return layout

    @staticmethod
    def _content(case: Case, number: int, stream: int, is_replacement: bool) -> bytes:
        row = case.rows[number]
        if case.kind == "objects":
            return f"{'R:' if is_replacement else ''}{number:02d}-0".encode()
        is_sample = case.kind != "streams"
        return shard_content(
            number, row, stream, is_sample=is_sample, is_replacement=is_replacement
        )
