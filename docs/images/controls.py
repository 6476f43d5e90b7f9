"""Draw docs/images/control_*.webp: every control of `flowdeblur deblur` on a scene of the project.

The scene is a camera that pans over an embedded photograph: sharp frames, then frames with strong
blur, and a little noise. Needs chromium. Run it from the root of the repository:
python docs/images/controls.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import flowdeblur
from flowdeblur.video.images import ImageArray, read_image, write_image
from flowdeblur.video.inputs import find_sources
from flowdeblur.video.report import Report

IMAGES = Path(__file__).parent
SIZE, SPEED_PX, SHARP = (256, 352), (4, 14), 4  # speed a frame in the sharp and the blurry part
FACE = (slice(40, 210), slice(70, 280))
WIDTH, GAP, QUALITY = 760, 6, 82


def clip() -> list[ImageArray]:
    """Four frames with little blur, then four with much."""
    photograph = data.astronaut()[:300].astype(np.float64) / 255
    random, place, frames = np.random.default_rng(0), 10.0, []
    for speed in [SPEED_PX[0]] * SHARP + [SPEED_PX[1]] * 4:
        exposure = [1.0 * step / 24 for step in range(25)] if speed > 5 else [0.0]
        columns = [round(place + speed * share) for share in exposure]
        light = [photograph[: SIZE[0], each : each + SIZE[1]] ** 2.2 for each in columns]
        noisy = np.mean(light, 0) ** (1 / 2.2) + random.normal(0, 0.012, (*SIZE, 3))
        frames.append((noisy.clip(0, 1) * 255).round().astype(np.uint8))
        place += speed
    return frames


def draw(name: str, panels: Mapping[str, ImageArray]) -> None:
    """Write labelled panels of one height beside each other."""
    shares = [image.shape[1] / image.shape[0] for image in panels.values()]
    height = round((WIDTH - GAP * (len(panels) - 1)) / sum(shares))
    canvas = Image.new("RGB", (WIDTH, height + 20), "white")
    pen, left = ImageDraw.Draw(canvas), 0
    for (title, image), share in zip(panels.items(), shares, strict=True):
        size = (round(share * height), height)
        pen.text((left + 1, 2), title, fill="black", font=ImageFont.load_default(13))
        canvas.paste(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS), (left, 20))
        left += size[0] + GAP
    canvas.save(IMAGES / f"control_{name}.webp", quality=QUALITY, method=6)


class Scene:
    """The clip in a folder, and what the controls make of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source = folder, folder / "in"
        self.source.mkdir()
        for index, image in enumerate(clip()):
            write_image(self.source / f"{index}.png", image)

    def deblur(self, name: str, **settings: object) -> Report:
        """Restore the clip into a folder or video of this name."""
        return flowdeblur.deblur(self.source, f"{self.folder}/{name}", device="cpu", **settings)

    def frame(self, name: str, index: int) -> ImageArray:
        """A frame of a result."""
        return read_image(self.folder / name / f"{index}.png")

    def compared(self, kind: str, index: int) -> ImageArray:
        """A frame of a comparison video."""
        path = self.deblur(f"{kind}.mp4", compare=kind, fps=4).comparison
        return [each.image for each in find_sources([str(path)])[0].open(None)][index]


def draw_preview(scene: Scene) -> None:
    """The page of a preview, as chromium shows it."""
    from playwright.sync_api import sync_playwright

    from flowdeblur.cli import main as command

    folder = scene.folder / "preview"
    command(["deblur", str(scene.source), str(folder), "--preview", "2", "--device", "cpu"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 900, "height": 900})
        page.goto((folder / "index.html").as_uri())
        page.locator("section").nth(1).screenshot(path=str(scene.folder / "preview.png"))
        browser.close()
    shown = Image.open(scene.folder / "preview.png").convert("RGB")
    shown.thumbnail((WIDTH, 10_000), Image.Resampling.LANCZOS)
    shown.save(IMAGES / "control_preview.webp", quality=QUALITY, method=6)


def main() -> None:
    """Restore the clip with each control."""
    with tempfile.TemporaryDirectory() as name:
        scene = Scene(Path(name))
        scene.deblur("full")
        results = {"input": scene.frame("in", 5), "restored": scene.frame("full", 5)}
        for title, settings in {
            "--strength 0.5": {"strength": 0.5},
            "--scale 0.5": {"scale": 0.5},
            "--scale auto": {"scale": "auto"},
        }.items():
            scene.deblur(f"{title}/", **settings)
            results[title] = scene.frame(title, 5)

        def panels(crop: tuple[slice, slice], *titles: str) -> dict[str, ImageArray]:
            return {each: results[each][crop] for each in titles}

        draw("strength", panels(FACE, "input", "--strength 0.5", "restored"))
        draw("scale", panels(FACE, "input", "restored", "--scale 0.5", "--scale auto"))

        titles = [
            f"{row.blur_px:.1f} px: {'restored' if row.restored else 'passes'}"
            for row in scene.deblur("only", only_blurry=True).blurs
        ]
        around = range(SHARP - 2, SHARP + 2)
        draw("only_blurry", {titles[each]: scene.frame("only", each)[FACE] for each in around})
        scene.deblur("range", range="5-6")
        labels = {4: "frame 4: passes", 5: "5: restored", 6: "6: restored", 7: "7: passes"}
        draw("range", {label: scene.frame("range", each)[FACE] for each, label in labels.items()})
        kinds = ("side", "split", "wipe")
        draw("compare", {f"--compare {kind}": scene.compared(kind, 5) for kind in kinds})
        draw_preview(scene)


if __name__ == "__main__":
    main()
