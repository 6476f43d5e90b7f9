"""Restore a folder of images, and frames in memory: python examples/deblur_folder.py [OUT]."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import flowdeblur

out = Path(sys.argv[1] if len(sys.argv) > 1 else "examples-out")
blurry, restored = out / "blurry", out / "restored"
blurry.mkdir(parents=True, exist_ok=True)

# A camera that pans over a photograph by 6 pixels a frame, with the shutter open all the time.
photograph = (data.astronaut()[:192] / 255.0) ** 2.2
frames = []
for number in range(3):
    columns = [number * 6 + step for step in range(7)]
    light = np.mean([photograph[:, each : each + 256] for each in columns], axis=0)
    frames.append((light ** (1 / 2.2) * 255).round().astype(np.uint8))
    Image.fromarray(frames[-1]).save(blurry / f"{number}.png")

# Files in, files out: the same as `flowdeblur deblur blurry restored --weights small`.
report = flowdeblur.deblur(blurry, restored, weights="small", device="cpu", overwrite=True)
print(f"{report.restored} of {report.frames} frames restored in {report.seconds:.1f} s")

# Arrays in, arrays out, one after the other: for a program with its own decoder.
network = flowdeblur.load("small")
for frame in flowdeblur.restore(frames, network):
    print(frame.shape, frame.dtype)
