"""The digits that the examples train from."""

from __future__ import annotations

from aistore.sdk import Bucket

DIGITS = 640


def store_digits(bucket: Bucket) -> None:
    """Store `DIGITS` images of 8 x 8 pixels, which are easy to tell apart, each under its digit."""
    for number in range(DIGITS):
        digit, pixels = number % 10, bytearray(64)
        pixels[6 * digit : 6 * digit + 8] = bytes([200 + number % 50] * 8)
        bucket.object(f"{digit}/{number:04d}").get_writer().put_content(bytes(pixels))
