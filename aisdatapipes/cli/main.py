"""Main: which command is meant, and how it ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from aisdatapipes.cli import bench, changing, checking, copying, local, looking, packing, shards

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_GROUPS = (copying, looking, changing, packing, shards, checking, bench, local)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 for a failure, 2 for a wrong call.

    Args:
        argv: Arguments without the program's name; default those of this process.

    Example:
        .. code-block:: console

            python -m aisdatapipes ls -l ais://imagenet/train/
    """
    options = _parser().parse_args(argv)
    # SIGTERM ends what runs in the same order as Ctrl-C: no node and no bucket is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain(options, "stopped", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Nobody reads on, as in `ls | head`; nor what is flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        return _complain(options, _in_one_line(error), 1)
    return code or 0


def _expected() -> tuple[type[Exception], ...]:
    """Return the errors that are told in one line; imported where there is one."""
    from aisdatapipes.errors import AISPipeError

    return AISPipeError, OSError, RuntimeError, ImportError, ValueError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aisdatapipes",
        description="Files to and from AIStore, tar shards, checks of a cluster, and a local one.",
        epilog="The cluster is that of $AIS_ENDPOINT, or of --endpoint behind a command; a token "
        "comes from $AIS_AUTHN_TOKEN or the file $AIS_AUTHN_TOKEN_FILE.",
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        group.add_to(commands)
    return parser


class _Version(argparse.Action):
    """Shows the version, which takes a moment to find."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser.exit(message=f"aisdatapipes {version('aisdatapipes')}\n")


def _complain(options: argparse.Namespace, line: str, code: int) -> int:
    sys.stderr.write(f"aisdatapipes {options.command}: {line}\n")
    return code


def _in_one_line(error: Exception) -> str:
    """Shorten a message that ends with a node's output to its first line and the very last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([lines[0], *lines[1:][-1:]]) if lines else type(error).__name__
