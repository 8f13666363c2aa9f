"""What the demo prints: a few lines on the way, a table at the end, and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass

from tqdm import tqdm

from aisdatapipes.demo.digits import ALL_IMAGES
from aisdatapipes.demo.errors import AccuracyError
from aisdatapipes.demo.training import EPOCHS, WORKERS, Result

__all__ = ["BAR", "Row", "say", "summarize", "summarize_own"]

BAR = 0.95
"""The least share of held-out images that must be right, where all images are used."""


@dataclass(frozen=True)
class Row:
    """One way to store the images, and the training from there.

    Attributes:
        form: How the images are stored.
        objects: Objects that hold them, for training and test.
        stored_bytes: Bytes of these objects.
        training_objects: Objects that an epoch of the training reads.
        training_images: Images that an epoch of the training reads.
        result: The training.
    """

    form: str
    objects: int
    stored_bytes: int
    training_objects: int
    training_images: int
    result: Result


def say(line: str = "") -> None:
    """Print one line, above a progress bar where one stands."""
    tqdm.write(line)


def summarize(rows: list[Row], images: int) -> None:
    """Print the table, and whether the accuracies reach `BAR`.

    Args:
        rows: One for each way to store the images.
        images: Images for training and test. With fewer than all of them, nothing is required.

    Raises:
        AccuracyError: An accuracy is below `BAR`, with all images.
    """
    _show_table(rows, images)
    if images < ALL_IMAGES:
        say(f"{BAR:.0%} is required with all {ALL_IMAGES:,} images only; these were {images:,}")
        return
    for row in rows:
        _check_accuracy(row)
    say(f"every accuracy reaches the required {BAR:.0%}")


def summarize_own(rows: list[Row], guess: float) -> None:
    """Print the table of images that are the user's own, of which nothing is required.

    Args:
        rows: One for each way to store them.
        guess: Share of the held-out images that are of the commonest class.
    """
    _show_table(rows, rows[0].objects)
    say(f"to guess the commonest class every time would be right for {guess:.1%}")


def _show_table(rows: list[Row], images: int) -> None:
    say(f"\n{images:,} images; rates while training, {EPOCHS} epochs, {WORKERS} workers:")
    say(f"{'':11}{'objects':>9}{'MB':>7}{'objects/s':>11}{'images/s':>10}{'accuracy':>10}")
    for row in rows:
        say(_line(row))


def _line(row: Row) -> str:
    rate = EPOCHS / row.result.seconds
    return (
        f"{row.form:11}{row.objects:9,}{row.stored_bytes / 1e6:7.2f}"
        f"{row.training_objects * rate:11,.1f}{row.training_images * rate:10,.0f}"
        f"{row.result.accuracy:10.1%}"
    )


def _check_accuracy(row: Row) -> None:
    if row.result.accuracy < BAR:
        raise AccuracyError(
            f"trained from {row.form}, the CNN got {row.result.accuracy:.1%} of the held-out "
            f"images right, and {BAR:.0%} is required: check what the pipeline reads"
        )
