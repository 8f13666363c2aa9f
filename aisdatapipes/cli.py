"""The ``aisdatapipes`` command: a local cluster, its program, and a demonstration."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from aisdatapipes.errors import AISPipeError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: Arguments without the program's name; default those of this process.

    Example:
        .. code-block:: console

            python -m aisdatapipes cluster --targets 2
    """
    options = _parser().parse_args(argv)
    # SIGTERM ends what runs in the same order as Ctrl-C: no node and no bucket is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"aisdatapipes {options.command}: stopped\n")
        return 128 + signal.SIGINT
    except (AISPipeError, OSError, RuntimeError, ImportError, ValueError) as error:
        sys.stderr.write(f"aisdatapipes {options.command}: {_in_one_line(error)}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aisdatapipes",
        description="A local AIStore cluster for tests and trials, and a demonstration on it.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    cluster = commands.add_parser("cluster", help="run a local cluster until Ctrl-C")
    cluster.add_argument("--targets", type=_count, default=1, help="storage nodes (default: 1)")
    cluster.add_argument("--directory", help="keep all data there (default: a temporary folder)")
    cluster.set_defaults(run=_run_cluster)

    node = commands.add_parser("node", help="print the path of aisnode; build it if there is none")
    node.set_defaults(run=_run_node)

    demo = commands.add_parser("demo", help="train a small network from AIStore")
    demo.add_argument(
        "--endpoint",
        default=os.environ.get("AIS_ENDPOINT"),
        help="cluster to use (default: $AIS_ENDPOINT, else a local cluster of the demo's own)",
    )
    demo.add_argument("--images", type=_count, help="images to use (default: all 1,797)")
    demo.set_defaults(run=_run_demo)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _run_cluster(options: argparse.Namespace) -> int:
    from aisdatapipes.testing import LocalCluster

    try:
        with LocalCluster(options.targets, directory=options.directory) as cluster:
            _say(f"export AIS_ENDPOINT={cluster.endpoint}")
            while True:
                signal.pause()
    except KeyboardInterrupt:
        sys.stderr.write("aisdatapipes cluster: stopped\n")
        return 0


def _run_node(_: argparse.Namespace) -> int:
    from aisdatapipes.testing.binary import find_aisnode

    _say(str(find_aisnode()))
    return 0


def _run_demo(options: argparse.Namespace) -> int:
    from aisdatapipes.demo import run_demo

    run_demo(options.endpoint or None, options.images)
    return 0


def _in_one_line(error: Exception) -> str:
    """Shorten a message that ends with a node's output to its first line and the very last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([lines[0], *lines[1:][-1:]]) if lines else type(error).__name__


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # a reader at the other end of a pipe waits for it
