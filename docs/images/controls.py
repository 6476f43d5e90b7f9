"""Draw docs/images/controls.jpg: every control of `flowdeblur deblur` on a scene of the project.

The scene is rendered from the embedded photographs: sharp frames, then frames with strong blur, and
a little noise. Run it from the root of the repository: python docs/images/controls.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

import flowdeblur
from flowdeblur.video.images import read_image, write_image

SIZE, CROP = (240, 320), (slice(60, 200), slice(70, 260))
SPEED_PX = (4, 14)  # a frame, in the sharp and in the blurry part


def frames() -> list[np.ndarray]:
    """Four frames with little blur, then four with much: a camera that pans over a photograph."""
    photograph = data.astronaut()[:300].astype(np.float64) / 255
    random, place, clip = np.random.default_rng(0), 10.0, []
    for speed in [SPEED_PX[0]] * 4 + [SPEED_PX[1]] * 4:
        exposure = [1.0 * step / 24 for step in range(25)] if speed > 5 else [0.0]
        columns = [round(place + speed * share) for share in exposure]
        light = [photograph[: SIZE[0], each : each + SIZE[1]] ** 2.2 for each in columns]
        noisy = np.mean(light, 0) ** (1 / 2.2) + random.normal(0, 0.012, (*SIZE, 3))
        clip.append((noisy.clip(0, 1) * 255).round().astype(np.uint8))
        place += speed
    return clip


def main() -> None:
    """Restore the clip with each control, and lay the crops of one frame out."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for index, image in enumerate(frames()):
            write_image(source / f"{index}.png", image)

        def restored(name: str, frame: int, **settings: object) -> np.ndarray:
            flowdeblur.deblur(source, Path(folder) / name, device="cpu", **settings)
            return read_image(Path(folder) / name / f"{frame}.png")

        blurry = read_image(source / "5.png")
        whole = restored("default", 5)
        panels = {
            "input": blurry,
            "restored": whole,
            "--strength 0.5": restored("half", 5, strength=0.5),
            "--scale auto": restored("auto", 5, scale="auto"),
            "--keep-grain": restored("grain", 5, keep_grain=True),
            "--only-blurry: a sharp frame passes": restored("only", 1, only_blurry=True),
            "--range 4-: frame 1 passes": restored("range", 1, range="4-"),
            "--compare split": _split(blurry, whole),
        }
    height, width = panels["input"][CROP].shape[:2]
    canvas = Image.new("RGB", (4 * width + 12, 2 * (height + 18)), "white")
    draw = ImageDraw.Draw(canvas)
    for place, (title, image) in enumerate(panels.items()):
        left, top = place % 4 * (width + 4), place // 4 * (height + 18)
        draw.text((left + 2, top + 2), title, fill="black")
        canvas.paste(Image.fromarray(image[CROP]), (left, top + 16))
    canvas = canvas.resize(
        (canvas.width * 3 // 2, canvas.height * 3 // 2), Image.Resampling.LANCZOS
    )
    canvas.save(Path(__file__).with_name("controls.jpg"), quality=88)


def _split(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    image = after.copy()
    middle = (CROP[1].start + CROP[1].stop) // 2
    image[:, :middle] = before[:, :middle]
    image[:, middle - 1 : middle + 1] = 255
    return image


if __name__ == "__main__":
    main()
