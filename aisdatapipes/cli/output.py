"""Output: lines for people, JSON for programs, arguments that several commands have."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

__all__ = ["add_endpoint", "add_json", "amount", "count", "human", "number", "say", "say_json"]

_STEP = 1000
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(i)?)?b?", re.IGNORECASE)


def say(line: str, *, at_once: bool = False) -> None:
    """Write a line to standard output.

    Args:
        line: In which names may have bytes that are no text; they come out as they are.
        at_once: A reader at the other end of a pipe waits for it.
    """
    sys.stdout.buffer.write(f"{line}\n".encode("utf-8", "surrogateescape"))
    if at_once:
        sys.stdout.flush()


def say_json(value: Any) -> None:
    """Write a value as one line of JSON."""
    say(json.dumps(value))


def human(size: int) -> str:
    """Return a size in bytes as people say it.

    Example:
        >>> human(999), human(1_250_000), human(10**15)
        ('999 B', '1.2 MB', '1.0 PB')
    """
    amount, units = float(size), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while amount >= _STEP and unit != "PB":
        amount, unit = amount / _STEP, next(units)
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def number(of: int, what: str) -> str:
    """Return how many there are, in words.

    Example:
        >>> number(1, "shard"), number(2000, "shard")
        ('1 shard', '2,000 shards')
    """
    return f"{of:,} {what}" if of == 1 else f"{of:,} {what}s"


def count(text: str) -> int:
    """Return a number of something, from an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def amount(text: str) -> int:
    """Return a number of bytes, from an argument.

    Example:
        >>> amount("1.5GB"), amount("512 MiB"), amount("100")
        (1500000000, 536870912, 100)
    """
    found = _AMOUNT.fullmatch(text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write it like 256MB or 1GiB")
    number, prefix, is_binary = found.groups()
    step = 1024 if is_binary else _STEP
    bytes_ = int(float(number) * step ** (1 + "kmgt".index(prefix.lower()) if prefix else 0))
    if not bytes_:
        raise argparse.ArgumentTypeError(f"{text!r} is no size from 1 on")
    return bytes_


def add_endpoint(command: argparse.ArgumentParser) -> None:
    """Let a command be told which cluster."""
    command.add_argument("--endpoint", metavar="URL", help="cluster (default: $AIS_ENDPOINT)")


def add_json(command: argparse.ArgumentParser, what: str) -> None:
    """Let a command give JSON."""
    command.add_argument("--json", action="store_true", help=f"JSON: {what}")
