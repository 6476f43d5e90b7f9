"""Fixtures of several files."""

from __future__ import annotations

import numpy as np
import pytest

from flowdeblur.datasets import FrameFolders
from flowdeblur.datasets.packed import pack
from flowdeblur.video.images import write_image

COUNT, SIZE = 4, (40, 56)


def make_image(value, size=SIZE):
    return np.random.default_rng(value).integers(0, 256, (*size, 3)).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for clip, first, size in (("a", 0, SIZE), ("b", 20, (SIZE[1], SIZE[0]))):
        for kind, offset in (("input", 0), ("GT", 100)):
            folder = tmp_path / "frames" / clip / kind
            folder.mkdir(parents=True)
            for number in range(COUNT):
                value = first + offset + number
                write_image(folder / f"{number:05d}.png", make_image(value, size))
    return tmp_path / "frames"


def packed(root, out):
    pack(FrameFolders(str(root)).pairs(), out)
    return out


@pytest.fixture
def out(root, tmp_path):
    return packed(root, tmp_path / "packed")
