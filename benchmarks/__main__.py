"""``python -m benchmarks``: measure, print the table, write the results and the chart."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.chart import draw_chart
from benchmarks.data import FULL, SMALL
from benchmarks.plan import BARS, READERS, WORKS
from benchmarks.results import judge, to_json
from benchmarks.runner import measure_all
from benchmarks.table import format_table
from benchmarks.works import Work

__all__ = ["main", "works_of"]

_PACKAGES = ("aisdatapipes", "aistore", "torch", "torchdata", "webdataset", "s3fs")
_PACKAGES += ("s3torchconnector", "fsspec", "multi-storage-client", "pyarrow", "ray")


def main() -> None:
    """Run the benchmark as the command line says."""
    options = _parser().parse_args()
    options.output.mkdir(parents=True, exist_ok=True)  # before, and not after, all the work
    begin = time.monotonic()
    scale = SMALL if options.small else FULL
    rows = list(measure_all(options.works, READERS, scale, options.rounds))
    verdicts = judge(rows, BARS)
    machine = _machine() | {"minutes": round((time.monotonic() - begin) / 60, 1)}
    results = json.dumps(to_json(rows, verdicts, machine), indent=1)
    (options.output / "results.json").write_text(results + "\n")
    (options.output / "chart.svg").write_text(draw_chart(rows))
    sys.stdout.write(format_table(rows, verdicts) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    letters = "".join(dict.fromkeys(work.letter for work in WORKS))
    parser.add_argument(
        "--works", type=works_of, default=letters, help=f"as F for all of F, or AF2F5 ({letters})"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each reader (default: 3)")
    parser.add_argument("--small", action="store_true", help="little data, to try it out")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent, help="folder of the results"
    )
    return parser


def works_of(text: str) -> list[Work]:
    """Return the works that a text like ``AF2F5`` names.

    Raises:
        ArgumentTypeError: There is no such work.
    """
    codes = re.findall("[A-Z][0-9]*", text)
    known = {name for work in WORKS for name in (work.code, work.letter)}
    if not codes or "".join(codes) != text or not known.issuperset(codes):
        raise argparse.ArgumentTypeError(f"there is no work {text!r}: give some of {sorted(known)}")
    return [work for work in WORKS if not {work.code, work.letter}.isdisjoint(codes)]


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
