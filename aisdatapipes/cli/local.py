"""On this machine: a cluster, its program, and the demonstration."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from aisdatapipes.cli.output import count, say

__all__ = ["add_to"]

_MOST_PORT = 2**16 - 1


def add_to(commands: Any) -> None:
    """Add ``cluster``, ``node`` and ``demo``."""
    cluster = commands.add_parser("cluster", help="run a local cluster until Ctrl-C")
    cluster.add_argument("--targets", type=count, default=1, help="storage nodes (default: 1)")
    cluster.add_argument("--port", type=_port, help="of its endpoint (default: any that is free)")
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
    demo.add_argument(
        "--data",
        metavar="DIR",
        help="folder with a folder of images for each class (default: digits)",
    )
    demo.add_argument(
        "--images", type=count, help="images to use (default: all 1,797 digits, or 2,000 of DIR)"
    )
    demo.set_defaults(run=_run_demo)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: they go from 1 to {_MOST_PORT}")
    return int(text)


def _run_cluster(options: argparse.Namespace) -> int:
    from aisdatapipes.testing import LocalCluster

    try:
        with LocalCluster(
            options.targets, port=options.port, directory=options.directory
        ) as cluster:
            say(f"export AIS_ENDPOINT={cluster.endpoint}", at_once=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        sys.stderr.write("aisdatapipes cluster: stopped\n")
        return 0


def _run_node(_: argparse.Namespace) -> None:
    from aisdatapipes.testing.binary import find_aisnode

    say(str(find_aisnode()), at_once=True)


def _run_demo(options: argparse.Namespace) -> None:
    from aisdatapipes.demo import run_demo

    run_demo(options.endpoint or None, options.images, options.data)
