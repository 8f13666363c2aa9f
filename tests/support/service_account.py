"""The folder where a program in Kubernetes finds its credentials, for nodes outside of it.

Its path is fixed. A node sees it in a mount namespace of its own, where nothing else changes;
where that is forbidden, the folder is made for as long as it is needed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the client library of Kubernetes looks."""

_WAYS = (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"])
_SCRIPT = f"""
mount -t tmpfs tmpfs "$(readlink -f /var/run)" || exit
mkdir -p {FOLDER.parent} && ln -s "$1" {FOLDER} || exit
shift
exec "$@"
"""


class ServiceAccountError(RuntimeError):
    """Nodes cannot be given credentials on this machine."""


@contextmanager
def in_service_account(folder: Path, program: Path) -> Iterator[Path]:
    """Make a program see the files of `folder` in `FOLDER`, as long as the block lasts.

    Args:
        folder: With ``token``, ``ca.crt`` and ``namespace``.
        program: The program.

    Yields:
        What to run in its place.

    Raises:
        ServiceAccountError: There is no way on this machine; says what would be one.
    """
    for way in _WAYS:
        seen = [*way, "sh", "-c", _SCRIPT, "sh", str(folder)]
        if _succeeds([*seen, "test", "-e", str(FOLDER / "token")]):
            yield _wrapper(folder.parent / "aisnode", [*seen, str(program)])
            return
    with made(FOLDER, folder):
        yield program


@contextmanager
def made(place: Path, folder: Path) -> Iterator[None]:
    """Have a copy of `folder` at `place` within the block, and nothing more than before after it.

    Raises:
        ServiceAccountError: There is something already, or nothing can be made there.
    """
    if place.exists():
        raise ServiceAccountError(
            f"{place} is there already, and mount namespaces are forbidden here: run the tests "
            "as root, outside of Kubernetes, or allow `unshare --mount`"
        )
    new = [path for path in (place, *place.parents) if not path.exists()]
    try:
        shutil.copytree(folder, place)
    except OSError as error:
        shutil.rmtree(new[-1], ignore_errors=True)
        raise ServiceAccountError(
            f"AIStore's nodes need {place}, and there is no way to make it ({error}): run the "
            "tests as root, or allow `unshare --mount --map-root-user` to this user"
        ) from None
    try:
        yield
    finally:
        shutil.rmtree(new[-1])


def _wrapper(path: Path, command: list[str]) -> Path:
    """Write a program that becomes `command`, with the arguments that it gets."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
