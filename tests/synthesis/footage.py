"""Sharp clips that move, for the tests of synthesis."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from flowdeblur.video.images import write_image

SIZE = (48, 64)


def world(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    planes = [gaussian_filter(rng.standard_normal((120, 200)), 1.5) for _ in range(3)]
    light = np.stack(planes, -1)
    return (255 * (light - light.min()) / np.ptp(light)).astype(np.uint8)


def frame(number: int, speed: int = 2, seed: int = 0) -> np.ndarray:
    """A window that moves to the right by ``speed`` pixels a frame."""
    left = 20 + speed * number
    return world(seed)[30 : 30 + SIZE[0], left : left + SIZE[1]]


def image_clip(folder, count=6, seed=0):
    folder.mkdir(parents=True)
    for number in range(count):
        write_image(folder / f"{number:04d}.png", frame(number, seed=seed))
    return folder


def video_clip(path, count=6, images=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"crf": "8"})
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(count):
            image = frame(number) if images is None else images[number]
            encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(encoded))
        container.mux(stream.encode(None))
    return path


def contents(folder) -> dict[str, str]:
    """Digests of all files."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {
        str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in files
    }


def write_frames(folder: Path, count: int, size=(144, 176), softness=2.0, speed=2) -> None:
    """Fine and coarse texture that moves by ``speed`` pixels per frame."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).random((size[0], size[1] + speed * count, 3))
    fine, coarse = (gaussian_filter(noise, (sigma, sigma, 0)) for sigma in (softness, 20))
    texture = fine / fine.std() + 2 * coarse / coarse.std()
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    for number in range(count):
        frame = texture[:, speed * number : speed * number + size[1]]
        Image.fromarray(frame).save(folder / f"{number:02d}.png")
