"""Output: lines for people, JSON for programs, arguments that several commands have."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

__all__ = ["add_endpoint", "add_json", "count", "human", "say", "say_json"]

_STEP = 1000


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


def count(text: str) -> int:
    """Return a number of something, from an argument."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def add_endpoint(command: argparse.ArgumentParser) -> None:
    """Let a command be told which cluster."""
    command.add_argument("--endpoint", metavar="URL", help="cluster (default: $AIS_ENDPOINT)")


def add_json(command: argparse.ArgumentParser, what: str) -> None:
    """Let a command give JSON."""
    command.add_argument("--json", action="store_true", help=f"JSON: {what}")
