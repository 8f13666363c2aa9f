"""What would be uploaded, looked at and used: the distributions, from a fresh environment.

Run as a script, it builds them into ``build/dist``. The environment has the wheel, and takes what
the wheel needs from the one that runs this, as torch alone has some gigabytes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIST = ROOT / "build" / "dist"

# Of the wheel, as its files and its entry points say; and an epoch from a real node.
_SMOKE = """
import sys, pathlib, fsspec, aisdatapipes
from importlib.metadata import entry_points
from aisdatapipes.testing import LocalCluster

package = pathlib.Path(aisdatapipes.__file__).parent
assert package.is_relative_to(sys.prefix), f"{package} is not what the wheel installed"
assert (package / "py.typed").exists(), "py.typed is missing"
assert fsspec.get_filesystem_class("ais").protocol, "no ais:// by fsspec"
assert "aisdatapipes" in {entry.name for entry in entry_points(group="pytest11")}
with LocalCluster() as cluster:
    bucket = cluster.client().bucket("smoke").create()
    for name in ("a", "b", "c"):
        bucket.object(name).get_writer().put_content(name.encode())
    dataset = aisdatapipes.AISIterDataset(urls_list="ais://smoke/", client_url=cluster.endpoint)
    assert list(dataset) == [("a", b"a"), ("b", b"b"), ("c", b"c")]
print(aisdatapipes.__version__)
"""


def versions() -> dict[str, str]:
    """Return the version that each file names; of the changelog the newest that is released."""
    texts = {name: (ROOT / name).read_text() for name in ("pyproject.toml", "CITATION.cff")}
    found = {
        "pyproject.toml": re.search(r'^version = "(.+)"', texts["pyproject.toml"], re.MULTILINE),
        "CITATION.cff": re.search(r"^version: (.+)$", texts["CITATION.cff"], re.MULTILINE),
        "CHANGELOG.md": re.search(
            r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
        ),
    }
    return {name: match[1] for name, match in found.items() if match}


def build() -> Path:
    """Build both distributions and let twine look at them; return the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", DIST, ROOT],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    files = sorted(map(str, DIST.iterdir()))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    return next(DIST.glob("*.whl"))


def use(wheel: Path) -> str:
    """Install a wheel into a fresh environment, read from a node there; return its version."""
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        own = f"{folder}/bin/python"
        pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        # A path file of the other environment is not read there, so no editable install is.
        packages.joinpath("needs.pth").write_text(sysconfig.get_path("purelib"))
        smoke = [own, "-I", "-c", _SMOKE]
        used = subprocess.run(smoke, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
        command = [f"{folder}/bin/aisdatapipes", "--help"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return used.stdout.strip()


def main() -> int:
    """Print what was found; 0 if it can be uploaded."""
    named = versions()
    named["the wheel"] = use(build())
    sys.stdout.write("".join(f"{name}: {number}\n" for name, number in named.items()))
    if "CHANGELOG.md" not in named:
        sys.stdout.write("CHANGELOG.md: nothing but [Unreleased]; name the version before upload\n")
    return 0 if len(set(named.values())) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
