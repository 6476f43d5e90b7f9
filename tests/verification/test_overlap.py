"""Images that show the same after cropping, mirroring, scaling and re-encoding."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from flowdeblur.cli import main
from flowdeblur.verification.overlap import nearest_pairs, thumbnail

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field")
PHOTOGRAPHS = {name: getattr(data, name)() for name in NAMES}


def of(image):
    luminance = np.asarray(image)[..., :3].astype(np.float32) @ np.array(
        [0.299, 0.587, 0.114], np.float32
    )
    return thumbnail(luminance)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def crop(image, share, x, y):
    width, height = (round(share * each) for each in image.size)
    left, top = round(x * (image.width - width)), round(y * (image.height - height))
    return image.crop((left, top, left + width, top + height))


HIDDEN = {
    "re-encoded": lambda image: jpeg(image, 30),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "brighter": lambda image: image.point(lambda value: min(255, 20 + value)),
    "90 %": lambda image: crop(image, 0.9, 0.3, 0.9),
    "80 %, JPEG": lambda image: jpeg(crop(image, 0.8, 0.4, 0.6), 50),
    "65 %, mirrored": lambda image: crop(image, 0.65, 0.7, 0.2).transpose(
        Image.Transpose.FLIP_TOP_BOTTOM
    ),
}


@pytest.mark.parametrize("how", HIDDEN)
@pytest.mark.parametrize("hidden_side", ["training", "held-out"])
def test_hidden_copies_are_found_and_others_are_not(how, hidden_side):
    training = {Path(name): of(image) for name, image in PHOTOGRAPHS.items()}
    names = list(PHOTOGRAPHS)
    copies = {
        Path(f"copy of {name}"): of(HIDDEN[how](Image.fromarray(PHOTOGRAPHS[name])))
        for name in names[:2]
    }
    others = {Path(name): training.pop(Path(name)) for name in names[3:]}
    sides = (training, copies | others)
    if hidden_side == "training":
        sides = (copies | others, training)
    nearest = nearest_pairs(*sides)
    found = {(pair.training.name, pair.held_out.name) for pair in nearest[:2]}
    assert all(pair.same for pair in nearest[:2]) or "%" in how
    assert not any(pair.shown for pair in nearest[2:])
    wanted = {(name, f"copy of {name}") for name in names[:2]}
    if hidden_side == "training":
        wanted = {(copy, name) for name, copy in wanted}
    assert found == wanted


def test_flat_images_are_ignored():
    assert thumbnail(np.full((90, 160), 128, np.float32)) is None
    assert nearest_pairs({}, {Path("a"): np.zeros((64, 64), np.float32)}) == []


def test_verify_shows_them(tmp_path, capsys):
    image = Image.fromarray(PHOTOGRAPHS["astronaut"]).resize((256, 256))
    for place, each in (
        ("one/train/a", image),
        ("one/val/b", Image.fromarray(PHOTOGRAPHS["coffee"]).resize((256, 256))),
        ("other/val/c", jpeg(crop(image, 0.8, 0.4, 0.6), 60)),
    ):
        for part in ("blurry", "sharp"):
            (tmp_path / place / part).mkdir(parents=True)
            each.save(tmp_path / place / part / "0.png")
    command = ["data", "verify", "frames", str(tmp_path / "one")]
    assert main(command) == 0, capsys.readouterr()
    against = ["--against", "frames", str(tmp_path / "other")]
    assert main([*command, *against]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "looks like the" in printed
    assert "most alike" in printed
