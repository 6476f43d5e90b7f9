"""Fixtures of several files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from flowdeblur.ablation.jobs import SweepJob
from flowdeblur.ablation.results import collect
from flowdeblur.ablation.sweep import Point
from flowdeblur.ablation.table import AblationTable
from flowdeblur.engine.configuration import config_dir

ROOT = Path(__file__).parents[2]


CONF = config_dir()


COUNT = 40


GAINS = {"ours": 2.0, "without_flow": 1.5, "without_rnns": 0.5}


@pytest.fixture
def make(tmp_path):
    """Three rows, two seeds each; those in `without` are missing."""

    def table(without=(), reference=None, columns=None, **changes):
        jobs = []
        for row in ("without_rnns", "without_flow", "ours"):
            for seed in (0, 1):
                name = f"{row}-seed{seed}"
                point = Point(row, name, {"ablation": row, "seed": seed}, ())
                jobs.append(SweepJob(point, tmp_path / name))
                if name not in without and not (tmp_path / name).exists():
                    write_run(tmp_path / name, row, seed, **changes.get(name, {}))
        return AblationTable("Table IV", collect(jobs, CONF / "ablation"), reference, columns)

    return table


def frame_scores(row, seed):
    generator = np.random.default_rng([seed, len(row)])
    blurry = np.linspace(24, 36, COUNT)
    return blurry, blurry + GAINS[row] + generator.normal(0, 0.3, COUNT)


def write_run(folder, name, seed, steps=600, scores=None, **changes):
    (folder / "images" / "test").mkdir(parents=True)
    blurry, psnr = frame_scores(name, seed)
    flow = name == "ours"
    lines = [["key", "psnr", "psnr_blurry", *(["motion_px", "psnr_same_frame"] * flow)]]
    for n in range(COUNT):
        motion = [12 - n / 4, psnr[n] - 0.5] if flow else []
        lines.append([f"clip/{n}", psnr[n], blurry[n], *motion])
    with (folder / "frames.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    test = {"psnr": psnr.mean(), "ssim": 0.9 + GAINS[name] / 100}
    test |= {"psnr_blurry": blurry.mean(), "ssim_blurry": 0.85}
    test |= scores or {}
    if flow:
        test |= {"psnr_same_frame": psnr.mean() - 0.5, "epe": 2.5, "epe_of_dis": 0.3}
    metrics = {
        "steps": steps,
        "seconds": 120.0,
        "parameters": 8_281_696,
        "test": test,
        "history": [
            {"step": step, "val/psnr": 20 + step / 100 + seed, "val/psnr_blurry": 25.0}
            for step in (300, 600)
        ],
        "cost": {"size": [160, 160], "gflop": 5.25, "milliseconds": 30.5, "device": "a CPU"},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    source = {"_target_": "flowdeblur.scenes.Scenes", "size": [160, 160], "split": "test"}
    data = {"batch_size": 4, "patch": [128, 128], "test": source}
    about = (CONF / "ablation" / f"{name}.yaml").read_text()
    config = {"seed": seed, "model": name, "data": data, "row": yaml.safe_load(about)["row"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    image = np.full((120, 160, 3), 100, np.uint8)
    damaged = image.copy()
    damaged[20:60, 100:140] = 0  # where the crop has to be
    restored = image.copy()
    restored[20:60, 100:140] = (10 * (list(GAINS).index(name) + 1), 0, 0)
    shown = {"blurry": damaged, "sharp": image, "restored": restored}
    if flow:
        shown |= {"predicted_flow": image, "true_flow": image}
    for what, pixels in shown.items():
        Image.fromarray(pixels).save(folder / "images" / "test" / f"0_{what}.png")
