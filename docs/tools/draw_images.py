"""Draw the images of the documentation again: make images [RUN=runs/ID] [STRATA=FOLDER].

RUN is a run of the default job; without it, the image of a training run stays. STRATA is a folder
of `flowdeblur data strata`; without it, the image of the model card stays.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
QUALITY = 92
"""Of the WebP files: edges and flow look as in the originals, at a fifth of their size."""


def run(*command: str) -> None:
    """Run a command of Python in the root of the repository."""
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


def save(source: Path, name: str) -> None:
    """Write an image for the documentation."""
    Image.open(source).convert("RGB").save(IMAGES / name, quality=QUALITY, method=6)


def kernels(folder: Path) -> None:
    """True and implied blur kernels on test scenes."""
    target = folder / "kernels"
    run("-m", "flowdeblur", "benchmark", "kernels", "--weights", "default", "--out", str(target))
    save(target.with_suffix(".png"), "kernels.webp")


def page(folder: Path) -> None:
    """The page that explains a restoration, as chromium shows it."""
    from playwright.sync_api import sync_playwright

    run("examples/deblur_folder.py", str(folder))
    frames = [str(folder / "blurry"), str(folder / "out")]
    run("-m", "flowdeblur", "deblur", *frames, "--explain", str(folder / "page"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shown = browser.new_page(viewport={"width": 1100, "height": 1300})
        shown.goto((folder / "page" / "index.html").as_uri())
        shown.screenshot(path=str(folder / "page.png"))
        browser.close()
    save(folder / "page.png", "explain.webp")


def main() -> None:
    """Draw what can be drawn with what is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--strata", type=Path)
    arguments = parser.parse_args()
    run("docs/images/controls.py")
    with tempfile.TemporaryDirectory() as name:
        kernels(Path(name))
        page(Path(name))
    if arguments.run:
        save(arguments.run / "images" / "test.png", "scenes.webp")
    if arguments.strata:
        target = str(IMAGES / "model_card_strata.webp")
        run("-m", "benchmarks.model_card", "figure", str(arguments.strata), target)


if __name__ == "__main__":
    main()
