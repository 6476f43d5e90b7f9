"""Fetch the scripts that the site shows equations and diagrams with, at pinned versions.

    python docs/tools/vendor.py build/site-assets

A package is downloaded by npm, compared with its digest, and unpacked once; later builds are
offline.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    """A package of npm.

    Attributes:
        name: name and version, as npm takes them.
        sha512: digest of the archive, base64, as ``npm view NAME dist.integrity`` prints it.
        files: what to unpack, relative to the package; "fonts/" stands for a whole folder.
    """

    name: str
    sha512: str
    files: tuple[str, ...]


PACKAGES = {
    "katex": Package(
        "katex@0.19.1",
        "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA==",
        (
            "dist/katex.min.js",
            "dist/katex.min.css",
            "dist/contrib/auto-render.min.js",
            "dist/fonts/",
            "LICENSE",
        ),
    ),
    "mermaid": Package(
        "mermaid@11.17.2",
        "V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
        ("dist/mermaid.min.js", "LICENSE"),
    ),
}


def fetch(package: Package, target: Path) -> None:
    """Download a package, compare its digest and unpack its files into ``target``."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(folder).iterdir())
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != package.sha512:
            raise SystemExit(
                f"{package.name}: the archive's digest is {digest}, not the pinned one"
            )
        with tarfile.open(archive) as members:
            wanted = [each for each in members if _is_wanted(each.name, package.files)]
            members.extractall(folder, wanted, filter="data")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / "package", target)


def _is_wanted(member: str, files: tuple[str, ...]) -> bool:
    path = member.removeprefix("package/")
    return any(path == each or (each[-1] == "/" and path.startswith(each)) for each in files)


def main(root: Path) -> None:
    """Fetch what is missing below ``root``."""
    for name, package in PACKAGES.items():
        target = root / package.name
        if target.is_dir():
            continue
        if shutil.which("npm") is None:
            raise SystemExit(f"the site needs {name}: install npm (Debian: apt-get install npm)")
        fetch(package, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
