"""The demo on the user's own class folders: what it takes, what it leaves out, what it says."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from aisdatapipes.cli import main
from aisdatapipes.demo import DemoError
from aisdatapipes.demo.class_folders import ClassFolders
from aisdatapipes.demo.material import ImageForm
from aisdatapipes.testing import LocalCluster

COLOURS = {"red ones#1": (220, 40, 40), "blåu": (40, 40, 220)}


def make_folders(folder: Path, each: int = 12) -> None:
    """Draw shapes, a folder of PNG and JPEG files for each colour, of several sizes and modes."""
    for name, colour in COLOURS.items():
        (folder / name / "more").mkdir(parents=True)
        for number in range(each):
            image = Image.new("RGB", (20 + 5 * number, 40), (255, 255, 255))
            ImageDraw.Draw(image).ellipse((4, 4, 20 + number, 30), fill=colour)
            end = "JPG" if number % 3 == 0 else "png"
            place = folder / name / ("more" if number % 2 else "")
            image = image.convert("RGBA") if end == "png" and number % 4 == 1 else image
            image.save(place / f"{number}.{end}")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two classes of a dozen images."""
    make_folders(tmp_path / "shapes")
    return tmp_path / "shapes"


def test_a_fifth_of_each_class_is_held_out(folders: Path) -> None:
    """Files keep their paths behind train or test; shards hold the same images, with labels."""
    material = ClassFolders.read(str(folders), None).material()
    assert material.counts == {"train": 20, "test": 4}
    assert material.form == ImageForm(("blåu", "red ones#1"), 32, "RGB")
    paths = {name.partition("/")[2]: content for name, content in material.files.items()}
    assert paths == {
        path.relative_to(folders).as_posix(): path.read_bytes()
        for path in folders.rglob("*.*")
        if path.is_file()
    }
    packed: dict[bytes, int] = {}
    for shard in material.shards.values():
        with tarfile.open(fileobj=io.BytesIO(shard)) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
        contents = {name: file.read() for name, file in files.items() if file}
        for name in contents:
            if not name.endswith(".cls"):
                packed[contents[name]] = int(contents[f"{name.partition('.')[0]}.cls"])
    assert packed == {
        content: material.form.classes.index(name.partition("/")[0])
        for name, content in paths.items()
    }


def test_the_choice_is_the_same_every_time(folders: Path) -> None:
    """Some of every class are drawn, by their shares, with a fixed seed."""
    first, second = (ClassFolders.read(str(folders), 8) for _ in range(2))
    assert first.chosen == second.chosen
    assert {name: len(paths) for name, paths in first.chosen.items()} == dict.fromkeys(
        sorted(COLOURS), 4
    )
    assert "drawn from 24; --images takes more or fewer" in list(first.report())
    assert first.guess() == 0.5


def test_what_cannot_be_read_is_counted_and_named(folders: Path) -> None:
    """A cut image, a text and another kind of file are left out; the rest is used."""
    whole = (folders / "blåu" / "0.JPG").read_bytes()
    (folders / "blåu" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folders / "blåu" / "text.png").write_text("no image")
    (folders / "blåu" / "empty.png").touch()
    (folders / "blåu" / "notes.txt").write_text("notes")
    lines = list(ClassFolders.read(str(folders), None).report())
    assert lines[:2] == [
        f"{folders}: 24 images of 2 classes",
        "left out 1 files that are neither PNG nor JPEG",
    ]
    assert lines[2].startswith("left out 3 that cannot be read: bl\\xe5u/cut.jpg (")
    assert "bl\\xe5u/text.png (no image)" in lines[2]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "has no folder with PNG or JPEG files: make it like"),
        (["1.png", "2.png"], "has images of no class: make it like"),
        (["a/1.txt", "b/1.txt"], "has no folder with PNG or JPEG files"),
        (["a/1.png", "a/2.png", "b/1.txt"], "has one class, 'a', and two are needed"),
        (["a/1.png", "a/2.png", "b/1.png"], "class 'b' has 1 images that can be read"),
        (["a/1.png", "a/2.png", "b/1.png", "b/bad.png"], r"needs two.*\(b/bad.png \(no image\)\)"),
    ],
)
def test_folders_that_cannot_be_trained_on(tmp_path: Path, files: list[str], message: str) -> None:
    """It is said what is wrong with them, before a cluster is started."""
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("none")
        if name.endswith("png") and "bad" not in name:
            Image.new("RGB", (4, 4)).save(tmp_path / name)
    with pytest.raises(DemoError, match=message):
        ClassFolders.read(str(tmp_path), None)


def test_no_such_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It is one line."""
    assert main(["demo", "--data", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"aisdatapipes demo: no folder {tmp_path}/none: give one with a folder of images for each "
        "class\n"
    )


def test_it_trains_on_them(
    folders: Path, ais_cluster: LocalCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """From files and from shards, of names with blanks and signs; and colours are learnt."""
    arguments = ["demo", "--endpoint", ais_cluster.endpoint, "--data", str(folders)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{folders}: 24 images of 2 classes\n")
    for name, objects in (("files", 24), ("tar shards", 24)):
        assert re.search(rf"^{name} +{objects} .* 100\.0%$", shown, re.MULTILINE), shown
    assert shown.endswith("to guess the commonest class every time would be right for 50.0%\n")
