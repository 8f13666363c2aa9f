"""The pictures that the pages train on: cats are red and dogs are blue."""

from __future__ import annotations

import io
from collections.abc import Mapping

from PIL import Image

from support.tars import member, pack

COLOURS = {"cat": (200, 60, 40), "dog": (40, 60, 200)}
EACH = 12


def picture(kind: str, number: int) -> bytes:
    """Return a PNG file of 32 by 32 pixels, a little darker for each number."""
    file = io.BytesIO()
    colour = tuple(part - 2 * number for part in COLOURS[kind])
    Image.new("RGB", (32, 32), colour).save(file, "png")
    return file.getvalue()


def pictures() -> dict[str, bytes]:
    """Return class folders: ``cat/00.png`` and so on, to what is in them."""
    return {
        f"{kind}/{number:02d}.png": picture(kind, number)
        for kind in COLOURS
        for number in range(EACH)
    }


def picture_shards(files: Mapping[str, bytes], shards: int = 4) -> dict[str, bytes]:
    """Return the same as WebDataset shards, with class and size of each picture beside it."""
    names = sorted(files, key=lambda name: name.rpartition("/")[2])  # the kinds by turns
    packed = {}
    for number in range(shards):
        members = []
        for name in names[number::shards]:
            kind, _, file = name.partition("/")
            key = f"{kind}-{file.removesuffix('.png')}"
            label = str(list(COLOURS).index(kind)).encode()
            members += [member(f"{key}.png", files[name]), member(f"{key}.cls", label)]
            members.append(member(f"{key}.json", b'{"width": 32, "height": 32}'))
        packed[f"train-{number:06d}.tar"] = pack(members)
    return packed
