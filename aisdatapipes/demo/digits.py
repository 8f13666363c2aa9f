"""The images: scikit-learn's handwritten digits as PNG files, one by one and in tar shards.

The tree is like that of the Caltech-256 images, a folder for each class and numbers within it;
the shards are named and filled like the WebDataset shards of COCO.
"""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, cast

from PIL import Image
from sklearn.datasets import load_digits

from aisdatapipes.demo.errors import DemoError
from aisdatapipes.demo.material import ImageForm, Material, tar_of

__all__ = ["ALL_IMAGES", "DIGITS", "count_images", "digit_shards", "digit_tree", "digits"]

ALL_IMAGES = 1797

_FEWEST_IMAGES = 50
_SPLITS = ("train", "test")
_CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SIZE = (8, 8)

DIGITS = ImageForm(tuple(f"{label:03}.{name}" for label, name in enumerate(_CLASSES)), 8, "L")
"""What the images become."""

_BRIGHTEST = 16
_TEST_SHARE = 0.2
_SEED = 256


def digits(images: int | None) -> Material:
    """Return the first `images` digits, or all, as the demo stores them; errors as `digit_tree`."""
    tree = digit_tree(ALL_IMAGES if images is None else images)
    # Of few images small shards, so that every worker has one.
    shards = digit_shards(tree, samples_per_shard=max(min(120, len(tree) // 14), 1))
    return Material(DIGITS, tree, shards, count_images(tree), "digits-")


def digit_tree(images: int = ALL_IMAGES) -> dict[str, bytes]:
    """Return the first `images` digits as PNG files.

    A fifth of every class, drawn with a fixed seed, is held out under ``test/``.

    Args:
        images: How many.

    Returns:
        Name of the file, such as ``train/003.three/003_0007.png``, to its content; in the
        order of the names.

    Raises:
        DemoError: `images` is less than 50, too few to hold some of each class out, or more
            than there are.

    Example:
        >>> tree = digit_tree(images=100)
        >>> len(tree), next(iter(tree))
        (100, 'test/000.zero/000_0005.png')
    """
    if not _FEWEST_IMAGES <= images <= ALL_IMAGES:
        raise DemoError(f"cannot use {images} images: take {_FEWEST_IMAGES} to {ALL_IMAGES}")
    pixels, labels = cast("tuple[Any, Any]", load_digits(return_X_y=True))
    digits = zip(labels[:images].tolist(), pixels[:images].tolist(), strict=True)
    numbers = [count(1) for _ in _CLASSES]
    files = {_path(label, next(numbers[label])): _png(image) for label, image in digits}
    held_out = set(_draw_test(sorted(files)))
    tree = {f"{'test' if path in held_out else 'train'}/{path}": files[path] for path in files}
    return dict(sorted(tree.items()))


def digit_shards(tree: Mapping[str, bytes], samples_per_shard: int = 120) -> dict[str, bytes]:
    """Pack the files of a tree into WebDataset shards, each file with its class beside it.

    The samples are mixed before they are packed, as a reader can only mix neighbours.

    Args:
        tree: What `digit_tree` returns.
        samples_per_shard: Samples in each shard; the last of a split has the rest.

    Returns:
        Name of the shard, such as ``digits-train-000000.tar``, to its content, a tar file with
        the members ``003_0007.png``, ``003_0007.cls`` and so on.

    Example:
        >>> list(digit_shards(digit_tree(images=100)))
        ['digits-train-000000.tar', 'digits-test-000000.tar']
    """
    shards = {}
    for split in _SPLITS:
        names = [name for name in tree if name.startswith(f"{split}/")]
        random.Random(_SEED).shuffle(names)  # noqa: S311 - no secret depends on it
        for number, first in enumerate(range(0, len(names), samples_per_shard)):
            packed = {name: tree[name] for name in names[first : first + samples_per_shard]}
            shards[f"digits-{split}-{number:06}.tar"] = _tar(packed)
    return shards


def count_images(tree: Mapping[str, bytes]) -> dict[str, int]:
    """Return the number of images in each split of a tree."""
    counts = Counter(name.partition("/")[0] for name in tree)
    return {split: counts[split] for split in _SPLITS}


def _path(label: int, number: int) -> str:
    return f"{label:03}.{_CLASSES[label]}/{label:03}_{number:04}.png"


def _png(pixels: list[float]) -> bytes:
    brightness = bytes(round(pixel * 255 / _BRIGHTEST) for pixel in pixels)
    file = io.BytesIO()
    Image.frombytes("L", _SIZE, brightness).save(file, "png")
    return file.getvalue()


def _draw_test(paths: list[str]) -> Iterator[str]:
    chance = random.Random(_SEED)  # noqa: S311 - no secret depends on it
    for label in range(len(_CLASSES)):
        of_class = [path for path in paths if path.startswith(f"{label:03}.")]
        yield from chance.sample(of_class, max(1, round(_TEST_SHARE * len(of_class))))


def _tar(files: Mapping[str, bytes]) -> bytes:
    return tar_of(_members(files))


def _members(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, png in files.items():
        key = name.rpartition("/")[2].removesuffix(".png")
        yield f"{key}.png", png
        yield f"{key}.cls", b"%d" % int(key.partition("_")[0])
