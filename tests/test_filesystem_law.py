"""The law of the filesystem: whatever is done in whatever order, it is a dictionary of bytes.

`DictTree` is that dictionary, with a method for everything that is done; a case does the same to
both, at random, and looks at both after every step.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aistore.sdk import Bucket

from aisdatapipes.filesystem import AISFileSystem
from aisdatapipes.testing import LocalCluster

FOLDERS = ["", "a/", "a/b/", "a b#/", "x[1]/", "%41/"]
LEAVES = ["one", "two.txt", "q[1].txt", "q1.txt", "50%", "what?", "ä+&;=", "star*"]
NAMES = [folder + leaf for folder in FOLDERS for leaf in LEAVES]
PATTERNS = ["*", "**", "a/*", "a/**", "*/*.txt", "q?.txt", "**/one", "a/[bo]*", "x[1]/*", "a b#/*"]
BLOCK_BYTES = 1000


class GivenUpError(Exception):
    """What a block of writing is left by."""


def content(chance: random.Random) -> bytes:
    """Return nothing, a little, about a block, or some blocks."""
    size = chance.choice([0, 1, 50, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3500])
    return chance.randbytes(size)


class DictTree:
    """What a bucket has to be."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def below(self, folder: str) -> dict[str, bytes]:
        """Return all in a folder, whose name ends in a slash or is empty."""
        return {n: c for n, c in sorted(self.objects.items()) if n.startswith(folder)}

    def level(self, folder: str) -> list[str]:
        """Return the paths right in a folder."""
        found = {folder + name[len(folder) :].split("/")[0] for name in self.below(folder)}
        return sorted(found)

    def folders(self) -> set[str]:
        """Return all folders, without slashes."""
        parts = [name.split("/") for name in self.objects]
        return {"/".join(one[:depth]) for one in parts for depth in range(1, len(one))}

    def glob(self, pattern: str) -> list[str]:
        """Return what a pattern means; something of that very name goes first."""
        paths = set(self.objects) | self.folders()
        if pattern in paths:
            return [pattern]
        marks = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])", pattern)
        made = "".join(
            marks.get(one) or (one if one[:1] == "[" else re.escape(one)) for one in parts
        )
        itself = pattern.removesuffix("**").rstrip("/")
        is_itself = pattern.endswith("**") and (itself in paths or not itself)
        found = {path for path in paths if re.fullmatch(made, path)}
        return sorted(found | ({itself} if is_itself else set()))


class Case:
    """One random case: a filesystem and its model."""

    def __init__(self, fs: AISFileSystem, top: str, seed: int, local: Path) -> None:
        self.fs, self.top, self.local = fs, top, local
        self.chance = random.Random(seed)
        self.model = DictTree()
        self.steps: list[str] = []

    def path(self, name: str) -> str:
        """Return a name as a path."""
        return f"{self.top}/{name}".rstrip("/")

    def run(self, count: int) -> None:
        """Do some steps, and look after each."""
        acts: list[Callable[[], None]] = [
            *(self.pipe, self.pipe, self.pipe_many, self.write, self.append, self.create),
            *(self.give_up, self.remove, self.remove_many, self.remove_folder, self.copy),
            *(self.copy_folder, self.move, self.move_folder, self.put, self.transact, self.touch),
        ]
        for _ in range(count):
            act = self.chance.choice(acts)
            self.steps.append(act.__name__)
            act()
            self.look()

    def name(self) -> str:
        """Return any name."""
        return self.chance.choice(NAMES)

    def old(self) -> str:
        """Return the name of an object, or of none if there is none."""
        return self.chance.choice(sorted(self.model.objects) or [self.name()])

    def pipe(self) -> None:
        """Write one at once."""
        name, data = self.name(), content(self.chance)
        self.fs.pipe(self.path(name), data)
        self.model.objects[name] = data

    def pipe_many(self) -> None:
        """Write some at once."""
        many = {self.name(): content(self.chance) for _ in range(5)}
        self.fs.pipe({self.path(name): data for name, data in many.items()})
        self.model.objects |= many

    def write(self) -> None:
        """Write one as a file, in pieces."""
        name, pieces = self.name(), [content(self.chance) for _ in range(3)]
        with self.fs.open(self.path(name), "wb", block_size=BLOCK_BYTES) as file:
            for piece in pieces:
                file.write(piece)
        self.model.objects[name] = b"".join(pieces)

    def append(self) -> None:
        """Write behind what there is."""
        name, data = self.name(), content(self.chance)
        with self.fs.open(self.path(name), "ab", block_size=BLOCK_BYTES) as file:
            file.write(data)
        self.model.objects[name] = self.model.objects.get(name, b"") + data

    def create(self) -> None:
        """Write a new one only."""
        name, data = self.name(), content(self.chance)
        if name in self.model.objects:
            with pytest.raises(FileExistsError):
                self.fs.open(self.path(name), "xb")
            with pytest.raises(FileExistsError):
                self.fs.pipe_file(self.path(name), data, mode="create")
        else:
            with self.fs.open(self.path(name), "xb", block_size=BLOCK_BYTES) as file:
                file.write(data)
            self.model.objects[name] = data

    def give_up(self) -> None:
        """Leave a block of writing by an exception."""
        file = self.fs.open(self.path(self.name()), "wb", block_size=BLOCK_BYTES)
        with suppress(GivenUpError), file:
            file.write(content(self.chance))
            self._give_up()

    def remove(self) -> None:
        """Remove one, which may not be there."""
        name = self.chance.choice([self.old(), self.name()])
        if self.model.objects.pop(name, None) is None:
            with pytest.raises(OSError, match=r"no |folder"):
                self.fs.rm_file(self.path(name))
        else:
            self.fs.rm(self.path(name))

    def remove_many(self) -> None:
        """Remove some."""
        names = {self.old() for _ in range(3)} & self.model.objects.keys()
        if names:
            self.fs.rm([self.path(name) for name in sorted(names)])
        for name in names:
            del self.model.objects[name]

    def remove_folder(self) -> None:
        """Remove a folder, with all that is in it."""
        folder = self.chance.choice(FOLDERS[1:])
        below = self.model.below(folder)
        if below:
            self.fs.rm(self.path(folder), recursive=True)
        for name in below:
            del self.model.objects[name]

    def copy(self) -> None:
        """Copy one to a name of its own."""
        old, new = self.old(), self.name()
        if old in self.model.objects:
            self.fs.cp(self.path(old), self.path(new))
            self.model.objects[new] = self.model.objects[old]

    def move(self) -> None:
        """Move one."""
        old, new = self.old(), self.name()
        if old in self.model.objects:
            self.fs.mv(self.path(old), self.path(new))
            self.model.objects[new] = self.model.objects.pop(old)

    def _to_new_folder(self, act: Callable[..., Any]) -> dict[str, str]:
        folder = self.chance.choice(FOLDERS[1:])
        new = f"new {self.chance.randrange(10**6)}/"
        below = self.model.below(folder)
        if below:
            act(f"{self.path(folder)}/", self.path(new), recursive=True)
        return {name: new + name.removeprefix(folder) for name in below}

    def copy_folder(self) -> None:
        """Copy a folder to a new one."""
        for old, new in self._to_new_folder(self.fs.cp).items():
            self.model.objects[new] = self.model.objects[old]

    def move_folder(self) -> None:
        """Move a folder to a new one."""
        for old, new in self._to_new_folder(self.fs.mv).items():
            self.model.objects[new] = self.model.objects.pop(old)

    def put(self) -> None:
        """Copy one from the disk."""
        name, data = self.name(), content(self.chance)
        (self.local / "file").write_bytes(data)
        self.fs.put(str(self.local / "file"), self.path(name))
        self.model.objects[name] = data

    def touch(self) -> None:
        """Make one empty."""
        name = self.name()
        self.fs.touch(self.path(name))
        self.model.objects[name] = b""

    def transact(self) -> None:
        """Write two, or none."""
        many = {self.name(): content(self.chance) for _ in range(2)}
        is_kept = self.chance.random() < 0.5
        with suppress(GivenUpError), self.fs.transaction:
            for name, data in many.items():
                with self.fs.open(self.path(name), "wb", block_size=BLOCK_BYTES) as file:
                    file.write(data)
            self.look()
            if not is_kept:
                self._give_up()
        if is_kept:
            self.model.objects |= many

    def _give_up(self) -> None:
        raise GivenUpError

    def look(self) -> None:
        """Look at the whole, and at some places."""
        model, fs = self.model, self.fs
        sizes = {self.path(name): len(data) for name, data in model.objects.items()}
        found = {path: info["size"] for path, info in fs.find(self.top, detail=True).items()}
        assert found == sizes
        some = self.chance.sample(sorted(model.objects), min(4, len(model.objects)))
        assert fs.cat([self.path(n) for n in some]) == {
            self.path(n): model.objects[n] for n in some
        }
        folder = self.chance.choice(FOLDERS)
        if model.below(folder) or not folder:
            listed = fs.ls(self.path(folder), detail=False)
            assert listed == [self.path(name) for name in model.level(folder)]
        path = self.chance.choice([*NAMES, *(one.rstrip("/") for one in FOLDERS[1:])])
        kinds = path in model.objects, path in model.folders()
        assert (fs.isfile(self.path(path)), fs.isdir(self.path(path))) == kinds
        assert fs.exists(self.path(path)) == any(kinds)
        pattern = self.chance.choice(PATTERNS)
        assert fs.glob(self.path(pattern)) == [self.path(one) for one in model.glob(pattern)]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_a_dictionary_of_bytes(
    ais_cluster: LocalCluster, ais_bucket: Bucket, tmp_path: Path, seed: int
) -> None:
    """All that is done to it is done, and nothing else."""
    case = Case(AISFileSystem(ais_cluster.endpoint), ais_bucket.name, seed, tmp_path)
    try:
        case.run(40)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, after {case.steps}: {error}") from error
