"""Draw the model card's picture: blurry, restored and sharp crops of every stratum of blur length.

python benchmarks/model_card.py STRATA docs/images/model_card_strata.jpg [--weights default]

STRATA is a folder of `flowdeblur data strata`. The first frame of each clip and stratum is taken,
and the crop is the middle of the frame: nothing is selected.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import flowdeblur
from flowdeblur.networks.inference import infer

WIDTH, HEIGHT, GAP = 300, 200, 4
STRATA = {"0": "0-2 px", "1": "2-5 px", "2": "5-10 px", "3": "10-20 px", "4": "20-40 px"}


def read(path: Path) -> torch.Tensor:
    """Read an image as (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 255


def crop(image: torch.Tensor) -> Image.Image:
    """Cut the middle out of (3, H, W)."""
    top, left = (image.shape[1] - HEIGHT) // 2, (image.shape[2] - WIDTH) // 2
    window = image[:, top : top + HEIGHT, left : left + WIDTH].clamp(0, 1)
    return Image.fromarray((window * 255).round().byte().permute(1, 2, 0).numpy())


def psnr(image: torch.Tensor, sharp: torch.Tensor) -> float:
    """PSNR in dB of a whole 8-bit frame."""
    rounded = (image.clamp(0, 1) * 255).round() / 255
    return float(-10 * (rounded - sharp).square().mean().log10())


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="default")
    arguments = parser.parse_args()
    network = flowdeblur.load(arguments.weights)
    rows = []
    for stratum, length in STRATA.items():
        clips = {}
        for path in sorted(arguments.strata.glob(f"*/input/{stratum}_*-1.png")):
            clips.setdefault(path.parent.parent.name.rsplit("-", 1)[0], path)
        for path in list(clips.values())[:2]:
            blurry, following = read(path), read(path.with_name(path.name.replace("-1.", "-2.")))
            sharp = read(path.parent.parent / "GT" / path.name)
            restored = infer(network, torch.stack((blurry, following))[None]).restored[0]
            scores = (psnr(blurry, sharp), psnr(restored, sharp))
            label = f"{length}   {scores[0]:.2f} dB blurry, {scores[1]:.2f} dB restored, sharp"
            rows.append((label, [crop(each) for each in (blurry, restored, sharp)]))
    canvas = Image.new("RGB", (3 * WIDTH + 2 * GAP, len(rows) * (HEIGHT + 16)), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (label, crops) in enumerate(rows):
        top = number * (HEIGHT + 16)
        draw.text((2, top + 2), label, "black")
        for column, image in enumerate(crops):
            canvas.paste(image, (column * (WIDTH + GAP), top + 14))
    canvas.save(arguments.out, quality=80)


if __name__ == "__main__":
    main()
