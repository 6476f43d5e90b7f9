"""The model card's figure and scores.

python -m benchmarks.model_card figure STRATA docs/images/model_card_strata.webp [--weights default]
python -m benchmarks.model_card scores EVALUATION

STRATA is a folder of `flowdeblur data strata`. The first frame of each clip and stratum is taken,
and the crop is the middle of the frame: nothing is selected. EVALUATION is a folder of
`flowdeblur evaluate`: the gain of each method over the blurry frames, with a 95 % bootstrap
interval over its clips.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

import flowdeblur
from flowdeblur.ablation.statistics import bootstrap_interval
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


def figure(strata: Path, out: Path, weights: str) -> None:
    """Draw and save blurry, restored and sharp crops of every stratum of blur length."""
    network = flowdeblur.load(weights)
    rows = []
    for stratum, length in STRATA.items():
        clips: dict[str, Path] = {}
        for path in sorted(strata.glob(f"*/input/{stratum}_*-1.png")):
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
    canvas.save(out, quality=60)


def scores(evaluation: Path) -> str:
    """Lay out PSNR of the blurry frames and the gain of each method, by protocol."""
    psnrs: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in csv.DictReader((evaluation / "frames.csv").open()):
        methods = psnrs.setdefault(row["protocol"], {})
        methods.setdefault(row["method"], {}).setdefault(row["clip"], []).append(float(row["psnr"]))
    names = [name for name in next(iter(psnrs.values())) if name != "blurry"]
    lines = [f"| protocol | clips | blurry | {' | '.join(names)} |"]
    lines.append("|---|---:|---:|" + "---:|" * len(names))
    for protocol, methods in psnrs.items():
        means = {
            name: np.array([np.mean(each) for each in clips.values()])
            for name, clips in methods.items()
        }
        blurry = means.pop("blurry")
        cells = [protocol, str(len(blurry)), f"{blurry.mean():.2f}"]
        for name in names:
            low, high = bootstrap_interval(means[name] - blurry)
            gain = (means[name] - blurry).mean()
            cells.append(f"{means[name].mean():.2f} ({gain:+.2f} [{low:+.2f}, {high:+.2f}])")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("figure")
    drawing.add_argument("strata", type=Path)
    drawing.add_argument("out", type=Path)
    drawing.add_argument("--weights", default="default")
    scoring = commands.add_parser("scores")
    scoring.add_argument("evaluation", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "figure":
        figure(arguments.strata, arguments.out, arguments.weights)
    else:
        print(scores(arguments.evaluation))


if __name__ == "__main__":
    main()
