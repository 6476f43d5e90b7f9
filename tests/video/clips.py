"""Tiny clips made and read with only PyAV, and networks that stand in for trained ones."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import torch
from PIL import Image
from torch import nn

from flowdeblur.types import Restoration


class Pick(nn.Module):
    """Returns one of its input frames, which proves the pairing."""

    def __init__(self, offsets=(0, 1), offset=0):
        super().__init__()
        self.frame_offsets, self.flow_offsets = offsets, ()
        self.current_index, self.taken = offsets.index(0), offsets.index(offset)

    def forward(self, frames, *, keep_rnn_weights=False):
        assert not keep_rnn_weights
        self.batches = [*getattr(self, "batches", []), len(frames)]
        assert frames.shape[1:3] == (len(self.frame_offsets), 3)
        assert frames.dtype == torch.float32
        assert torch.is_inference_mode_enabled()
        assert not self.training
        return Restoration(frames[:, self.taken])


class Raise(Pick):
    """Works for two frames, then raises."""

    def __init__(self, error):
        super().__init__()
        self.error, self.calls = error, 0

    def forward(self, frames, *, keep_rnn_weights=True):
        self.calls += 1
        if self.calls > 2:
            raise self.error
        return super().forward(frames, keep_rnn_weights=keep_rnn_weights)


def make_image(index: int = 0, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth image without symmetry, whose blue channel is its number (modulo 11)."""
    y, x = np.mgrid[: size[0], : size[1]]
    red, green = x * 255 // size[1], y * 200 // size[0]
    return np.stack([red, green, np.full_like(x, 20 + 20 * (index % 11))], -1).astype(np.uint8)


def scene(seed: int, size: tuple[int, int] = (90, 160)) -> np.ndarray:
    """Blurred patches of few colours; another seed makes another scene."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (6, 3))
    patches = palette[random.integers(0, 6, (5, 8))].astype(np.uint8)
    return np.asarray(Image.fromarray(patches).resize(size[::-1], Image.Resampling.BILINEAR))


def number(image: np.ndarray) -> int:
    """Which ``image`` this is (modulo 11), after lossy coding too."""
    return round((float(image[..., 2].mean()) - 20) / 20)


def make_clip(
    path,
    count=6,
    size=(48, 64),
    *,
    rate=Fraction(30000, 1001),
    times=None,
    time_base=None,
    pixels="yuv420p",
    sound=None,
    configure=None,
    **options,
):
    """Write ``count`` images as H.264; ``times`` in ticks, ``sound`` names a codec.

    The sound is half a second longer than the images.
    """
    time_base = time_base or 1 / rate
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "1"})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = time_base
        if configure:
            configure(stream)
        voice = container.add_stream(sound, rate=8000, layout="mono") if sound else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(make_image(index, size), format="rgb24")
            frame.pts, frame.time_base = times[index] if times else index, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice:
            samples = np.zeros((1, int(8000 * count / rate) + 4000), np.int16)
            spoken = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            spoken.sample_rate, spoken.pts = 8000, 0
            container.mux([*voice.encode(spoken), *voice.encode(None)])
    return path


def decode(path) -> list[tuple[Fraction, np.ndarray]]:
    """Times in seconds and RGB frames."""
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


def sound_packets(path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio[0])
        return [(each.pts * each.time_base, bytes(each)) for each in packets if each.size]


def cut(path, fraction: float):
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    return path


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
