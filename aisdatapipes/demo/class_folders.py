"""Class folders: the user's own images, a folder for each class, as the demo takes them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path

from tqdm import tqdm

from aisdatapipes.demo.errors import DemoError
from aisdatapipes.demo.material import ImageForm, LazyFiles, Material, tar_of
from aisdatapipes.urls import is_utf8

__all__ = ["MOST_IMAGES", "ClassFolders"]

MOST_IMAGES = 2000
"""How many are used unless it is said how many; so that the demo takes a minute or two."""

_KINDS = {".png", ".jpg", ".jpeg"}
_SIDE = 32
_TEST_SHARE = 0.2
_FEWEST_OF_CLASS = 2
_MOST_NAMED = 5
_SEED = 256
_SPLITS = ("train", "test")


@dataclass
class ClassFolders:
    """The images of a folder that has a folder for each class.

    A fifth of every class, and one image at least, is held out for the test; which, is drawn with a
    fixed seed.

    Attributes:
        folder: The folder.
        found: How many PNG and JPEG files there are.
        unreadable: Those of the chosen ones that are no images, and why.
        others: How many files are neither.
        chosen: Paths by the name of their class; those that are used.
    """

    folder: Path
    found: int = 0
    others: int = 0
    unreadable: list[str] = field(default_factory=list)
    chosen: dict[str, list[Path]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str, images: int | None) -> ClassFolders:
        """Find the images, choose some of every class, and leave out those that cannot be read.

        Args:
            path: Of the folder.
            images: How many to use; default 2,000, or all if there are fewer.

        Raises:
            DemoError: There is no such folder; it has no class folders with images, or only one;
                or a class has less than two images that can be read.
        """
        self = cls(Path(path))
        if not self.folder.is_dir():
            raise DemoError(f"no folder {path}: give one with a folder of images for each class")
        by_class = {one.name: self._images_in(one) for one in self._folders()}
        by_class = {name: paths for name, paths in by_class.items() if paths}
        self._check_classes(by_class)
        self.found = sum(map(len, by_class.values()))
        share = min((images or MOST_IMAGES) / self.found, 1.0)
        chosen = {name: _draw(paths, share) for name, paths in by_class.items()}
        number = sum(map(len, chosen.values()))
        with tqdm(total=number, desc="looking", unit=" images", disable=None, leave=False) as bar:
            for name, paths in chosen.items():
                self.chosen[name] = [path for path in paths if self._is_readable(path)]
                bar.update(len(paths))
        self._check_numbers()
        return self

    def material(self) -> Material:
        """Return them as the demo stores them."""
        splits = {split: list(self._samples(split)) for split in _SPLITS}
        names = {
            sample.name: sample.path.read_bytes for split in _SPLITS for sample in splits[split]
        }
        shards = LazyFiles(dict(_shards(splits)))
        counts = {split: len(part) for split, part in splits.items()}
        form = ImageForm(tuple(self.chosen), _SIDE, "RGB")
        return Material(form, LazyFiles(names), shards, counts, "images-")

    def guess(self) -> float:
        """Return the share of the test that is right if the commonest class is always guessed."""
        test = Counter(sample.label for sample in self._samples("test"))
        return max(test.values()) / test.total()

    def report(self) -> Iterator[str]:
        """Yield what the user should know of them, a line for each."""
        number = sum(map(len, self.chosen.values()))
        yield f"{self.folder}: {number:,} images of {len(self.chosen)} classes"
        if number + len(self.unreadable) < self.found:
            yield f"drawn from {self.found:,}; --images takes more or fewer"
        if self.others:
            yield f"left out {self.others:,} files that are neither PNG nor JPEG"
        if self.unreadable:
            more = len(self.unreadable) - _MOST_NAMED
            rest = f"; and {more:,} more" if more > 0 else ""
            named = "; ".join(self.unreadable[:_MOST_NAMED])
            yield f"left out {len(self.unreadable):,} that cannot be read: {named}{rest}"

    def _folders(self) -> list[Path]:
        return sorted(one for one in self.folder.iterdir() if one.is_dir() and one.name[0] != ".")

    def _images_in(self, folder: Path) -> list[Path]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        images = [path for path in files if path.suffix.lower() in _KINDS]
        self.others += len(files) - len(images)
        return images

    def _check_classes(self, by_class: dict[str, list[Path]]) -> None:
        advice = f"make it like {self.folder}/cat/1.png and {self.folder}/dog/1.jpg"
        if not by_class:
            is_flat = any(path.suffix.lower() in _KINDS for path in self.folder.iterdir())
            what = "images of no class" if is_flat else "no folder with PNG or JPEG files"
            raise DemoError(f"{self.folder} has {what}: {advice}")
        if len(by_class) == 1:
            [name] = by_class
            raise DemoError(f"{self.folder} has one class, {name!r}, and two are needed: {advice}")

    def _check_numbers(self) -> None:
        for name, paths in self.chosen.items():
            if len(paths) < _FEWEST_OF_CLASS:
                problems = f" ({'; '.join(self.unreadable[:_MOST_NAMED])})"
                raise DemoError(
                    f"class {name!r} has {len(paths)} images that can be read, and needs two, one "
                    f"to train on and one to test{problems if self.unreadable else ''}"
                )

    def _is_readable(self, path: Path) -> bool:
        name = path.relative_to(self.folder).as_posix()
        form = ImageForm((), _SIDE, "RGB")
        try:
            if not is_utf8(name) or not name.isprintable():
                raise ValueError("its name is no plain text")  # noqa: TRY301 - reported below
            with path.open("rb") as file:
                form.to_tensor(file)
        except Exception as error:  # noqa: BLE001 - whatever a decoder stumbles over
            self.unreadable.append(f"{ascii(name)[1:-1]} ({_reason(error)})")
            return False
        return True

    def _samples(self, split: str) -> Iterator[_Sample]:
        for label, (name, paths) in enumerate(self.chosen.items()):
            order = random.Random(f"{_SEED} {name}").sample(paths, len(paths))  # noqa: S311
            held_out = max(1, round(_TEST_SHARE * len(paths)))
            part = order[:held_out] if split == "test" else order[held_out:]
            for path in sorted(part):
                inside = path.relative_to(self.folder).as_posix()
                yield _Sample(f"{split}/{inside}", label, path)


@dataclass(frozen=True)
class _Sample:
    """An image with the name of its object and its label."""

    name: str
    label: int
    path: Path


def _draw(paths: Sequence[Path], share: float) -> list[Path]:
    """Draw a share of a class, but enough to train and to test."""
    number = min(max(ceil(share * len(paths)), _FEWEST_OF_CLASS), len(paths))
    return sorted(random.Random(_SEED).sample(paths, number))  # noqa: S311 - no secret


def _reason(error: Exception) -> str:
    """Return what a decoder says, without the address of what it has read from."""
    text = str(error).partition(" <")[0].partition("\n")[0]
    return "no image" if text.startswith("cannot identify") else text or type(error).__name__


def _shards(splits: dict[str, list[_Sample]]) -> Iterator[tuple[str, partial[bytes]]]:
    total = sum(map(len, splits.values()))
    at_a_time = max(min(120, total // 14), 1)  # of few images small ones: every worker has one
    for split, samples in splits.items():
        mixed = random.Random(_SEED).sample(samples, len(samples))  # noqa: S311 - no secret
        for number, first in enumerate(range(0, len(mixed), at_a_time)):
            packed = partial(_packed, first, mixed[first : first + at_a_time])
            yield f"images-{split}-{number:06}.tar", packed


def _packed(first: int, samples: Iterable[_Sample]) -> bytes:
    members: list[tuple[str, bytes]] = []
    for number, sample in enumerate(samples, first):
        extension = sample.path.suffix.lower()
        members.append((f"{number:06}{extension}", sample.path.read_bytes()))
        members.append((f"{number:06}.cls", b"%d" % sample.label))
    return tar_of(members)
