"""Shard report: what a tar shard has, member by member, and what a reader would stumble over."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aisdatapipes.errors import AISPipeError
from aisdatapipes.tar import TarMember, TarReader, key_of

__all__ = ["ShardReport", "report_on"]

_MOST_NAMED = 5


@dataclass
class ShardReport:
    """What was found.

    Attributes:
        members: Of any kind.
        files: Those that have content.
        bytes: Of all files.
        samples: Runs of files that share a key.
        extensions: How many files each has.
        problems: What is wrong, for the user.
    """

    members: int = 0
    files: int = 0
    bytes: int = 0
    samples: int = 0
    extensions: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def report_on(file: Any, name: str) -> ShardReport:
    """Read a shard from beginning to end, without the contents of its files.

    Args:
        file: The shard, open.
        name: What to call it in problems.

    Example:
        >>> import io
        >>> report_on(io.BytesIO(bytes(1024)), "empty.tar")
        ShardReport(members=0, files=0, bytes=0, samples=0, extensions={}, problems=[])
    """
    report, keys, links = ShardReport(), _Keys(), []
    reader, extensions = TarReader(file, name), Counter[str]()
    try:
        while member := reader.next_member():
            report.members += 1
            if member.link:
                links.append(member.name)
            elif member.is_file:
                report.files += 1
                report.bytes += member.size
                extensions[keys.add(member)] += 1
    except AISPipeError as error:
        report.problems.append(error.message)
    report.samples = keys.samples
    report.extensions = dict(extensions.most_common())
    report.problems += _named("links, which cannot be read forward", links)
    report.problems += _named("keys that come back behind others: two samples each", keys.again)
    report.problems += _named("files twice in a sample", keys.twice)
    report.problems += _named("files without a key or an extension, left out", keys.without)
    return report


class _Keys:
    """Which samples the files of a shard make up."""

    def __init__(self) -> None:
        self.samples = 0
        self.again: list[str] = []
        self.twice: list[str] = []
        self.without: list[str] = []
        self._seen: set[str] = set()
        self._key = ""
        self._extensions: set[str] = set()

    def add(self, member: TarMember) -> str:
        """Take the next file in, and return its extension."""
        key = key_of(member.name)
        if not key:
            self.without.append(member.name)
            return ""
        extension = member.name[len(key) + 1 :].lower()
        if key != self._key:
            self.samples += 1
            self.again += [key] if key in self._seen else []
            self._seen.add(key)
            self._key, self._extensions = key, set()
        if extension in self._extensions:
            self.twice.append(member.name)
        self._extensions.add(extension)
        return extension


def _named(what: str, names: list[str]) -> list[str]:
    shown = ", ".join([*names[:_MOST_NAMED], *(["…"] if len(names) > _MOST_NAMED else [])])
    return [f"{len(names)} {what}: {shown}"] if names else []
