"""As much of the Python API of VapourSynth as the filter uses, written from its documentation.

``check`` runs the same operations on any such API; it passes with VapourSynth R81 on Python 3.12:
``python -m tests.plugins.vapoursynth_stand_in``, which needs NumPy and the package ``vapoursynth``.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

RGBS, RGBH, RGB24 = 1, 2, 3
_TYPES = {RGBS: np.float32, RGBH: np.float16, RGB24: np.uint8}


class Frame:
    """Three planes that can be written in copies only, and properties."""

    def __init__(self, planes, props, *, readonly=True):
        self._planes, self.props = [each.copy() for each in planes], dict(props)
        for each in self._planes:
            each.flags.writeable = not readonly

    def __getitem__(self, plane):
        return memoryview(self._planes[plane])

    def copy(self):
        return Frame(self._planes, self.props, readonly=False)


class Clip:
    """A sequence of frames that are made on request."""

    def __init__(self, format, width, height, get_frame, count):
        self.format, self.width, self.height = SimpleNamespace(id=format), width, height
        self._get, self._count = get_frame, count
        self.std = SimpleNamespace(ModifyFrame=self._modify)

    def __len__(self):
        return self._count

    def _derived(self, places):
        return Clip(
            self.format.id, self.width, self.height, lambda n: self._get(places[n]), len(places)
        )

    def __getitem__(self, key):
        places = range(self._count)[key]
        return self._derived([places] if isinstance(places, int) else list(places))

    def __add__(self, other):
        def get(n):
            return self._get(n) if n < len(self) else other._get(n - len(self))

        return Clip(self.format.id, self.width, self.height, get, len(self) + len(other))

    def __mul__(self, times):
        return self._derived([*range(self._count)] * times)

    def get_frame(self, n):
        return self._get(n)

    def _modify(self, clips, selector):
        clips = clips if isinstance(clips, list) else [clips]

        def get(n):
            frames = [each._get(n) for each in clips]
            made = selector(n=n, f=frames if len(frames) > 1 else frames[0])
            return Frame(made._planes, made.props)

        return Clip(self.format.id, self.width, self.height, get, self._count)


def _blank_clip(format, width, height, length, color):
    def get(n):
        planes = [np.full((height, width), each, _TYPES[format]) for each in color]
        return Frame(planes, {})

    return Clip(format, width, height, get, length)


core = SimpleNamespace(std=SimpleNamespace(BlankClip=_blank_clip))


def numbered(vs, images, *, format=None, props=()):
    """A clip of images (H, W, 3), with the properties ``props[n]`` of frame n."""
    height, width, _ = images[0].shape
    format = vs.RGBS if format is None else format
    blank = vs.core.std.BlankClip(
        format=format, width=width, height=height, length=len(images), color=[0, 0, 0]
    )

    def fill(n, f):
        frame = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(frame[plane]), images[n][..., plane])
        for name, value in (dict(props).get(n) or {}).items():
            frame.props[name] = value
        return frame

    return blank.std.ModifyFrame(clips=blank, selector=fill)


def read(clip, n):
    """Frame n of a clip as an array (H, W, 3)."""
    frame = clip.get_frame(n)
    return np.stack([np.asarray(frame[plane]) for plane in range(3)], -1)


def check(vs):
    """What the filter and the tests take for granted."""
    images = [np.full((48, 64, 3), n / 10, np.float32) for n in range(5)]
    clip = numbered(vs, images, props={2: {"_SceneChangePrev": 1}})
    assert (len(clip), clip.width, clip.height, clip.format.id) == (5, 64, 48, vs.RGBS)
    later, earlier = clip[1:] + clip[-1] * 1, clip[0] * 2 + clip[:-2]
    assert [round(10 * read(later, n).mean()) for n in range(5)] == [1, 2, 3, 4, 4]
    assert [round(10 * read(earlier, n).mean()) for n in range(5)] == [0, 0, 0, 1, 2]
    assert clip.get_frame(2).props.get("_SceneChangePrev") == 1
    assert clip.get_frame(1).props.get("_SceneChangePrev") is None
    seen = []

    def add(n, f):
        seen.append((n, len(f), np.asarray(f[0][0]).dtype, np.asarray(f[0][0]).shape))
        assert np.asarray(f[0][0]).flags.writeable is False
        frame = f[0].copy()
        np.copyto(np.asarray(frame[1]), np.asarray(f[0][1]) + np.asarray(f[1][1]))
        return frame

    both = clip.std.ModifyFrame(clips=[clip, later], selector=add)
    assert np.allclose(read(both, 2)[5, 6], [0.2, 0.5, 0.2])
    assert seen == [(2, 2, np.dtype(np.float32), (48, 64))]
    half = numbered(vs, images, format=vs.RGBH)
    assert np.asarray(half.get_frame(1)[0]).dtype == np.float16


if __name__ == "__main__":
    import vapoursynth

    check(vapoursynth)
    print("passed with", str(vapoursynth.core).splitlines()[2])
