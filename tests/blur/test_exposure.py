from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from flowdeblur.blur.degradation import compress
from flowdeblur.blur.dis_flow import DenseInverseSearch
from flowdeblur.blur.exposure import average, exposure_centers, midpoints, whole_frames
from flowdeblur.blur.light import ResponseCurve
from flowdeblur.scenes import Scenes
from flowdeblur.scenes.render import expose as render
from flowdeblur.scenes.render import view
from flowdeblur.synthesis.capture import expose
from flowdeblur.synthesis.footage import Footage
from flowdeblur.synthesis.interpolation import Pair

CURVE = ResponseCurve.gamma()


def grating(time, frequency, speed, size=(24, 96)):
    """Light of a sine wave that moves to the right by ``speed`` pixels a frame."""
    x = np.arange(size[1])
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * frequency * (x - speed * time))
    return torch.from_numpy(np.broadcast_to(wave, (3, *size)).copy()).float()


def footage(frames, search):
    film = Footage(iter(frames), CURVE, 1.0, search)
    film.advance_to(0, len(frames) - 1)
    return film


@pytest.mark.parametrize("speed", [6.0, 10.0, -14.0])
@pytest.mark.parametrize("length", [0.5, 1.0])
def test_the_blur_of_a_moving_wave_is_known(speed, length):
    """Its average over an exposure is the wave with an amplitude of sinc(frequency x path)."""
    frequency = 1 / 24
    pairs = {
        number: Pair(
            grating(number, frequency, speed),
            grating(number + 1, frequency, speed),
            torch.tensor([speed, 0.0]).view(2, 1, 1).expand(2, 24, 96),
            torch.tensor([-speed, 0.0]).view(2, 1, 1).expand(2, 24, 96),
        )
        for number in (-1, 0)
    }

    def at(times):
        (time,) = times
        number = int(np.floor(time))
        return pairs[number].at(time - number)[None]

    blurry = average(at, midpoints(length, abs(speed) * length))
    expected = 0.5 + (grating(0, frequency, speed) - 0.5) * np.sinc(frequency * speed * length)
    inner = slice(16, -16)  # beyond the border nothing is known
    assert (blurry - expected)[..., inner].abs().max() < 0.005
    assert (grating(0, frequency, speed) - expected).abs().max() > 0.01  # the check is worth it


def test_whole_frames_of_a_moving_wave():
    """The average of N samples of a wave has an amplitude of sin(N a) / (N sin a)."""
    frequency, speed, count = 1 / 16, 0.75, 5
    frames = [CURVE.to_values(grating(number, frequency, speed)) for number in range(9)]
    light, known = expose(footage(frames, None), 4, 5.0)
    phase = np.pi * frequency * speed
    amplitude = np.sin(count * phase) / (count * np.sin(phase))
    expected = 0.5 + (grating(4, frequency, speed) - 0.5) * amplitude
    assert known == {"instants": 5, "blur_px": None}
    assert (light - expected).abs().max() < 0.006  # frames are rounded to 8 bits


def test_light_is_averaged_not_values():
    frames = [np.full((4, 4, 3), value, np.uint8) for value in (0, 255, 255)]
    light, _ = expose(footage(frames, None), 1, 3.0)
    assert np.all(CURVE.to_values(light) == round(255 * (2 / 3) ** (1 / 2.2)))


@pytest.mark.parametrize("length", [0.6, 1.0, 3.7])
@pytest.mark.parametrize("motion", [0, 12.3, 5000])
def test_instants(length, motion):
    times = 10 + midpoints(length, motion)
    count = len(times)
    assert count % 2 == 1
    assert 7 <= count <= 129
    assert count >= min(motion, 129)
    assert times[count // 2] == 10  # the sharp frame is the middle one, exactly
    edges = np.linspace(10 - length / 2, 10 + length / 2, count + 1)
    assert np.allclose(times, (edges[:-1] + edges[1:]) / 2)


@pytest.mark.parametrize(("length", "count"), [(3, 3), (7.9, 7), (8, 7), (9.0, 9)])
def test_whole_frames_are_inside_the_exposure(length, count):
    times = 5 + whole_frames(length)
    assert len(times) == count
    assert np.median(times) == 5


def test_exposures_are_inside_the_video():
    assert list(exposure_centers(10, 1, 0.8)) == list(range(1, 9))
    assert list(exposure_centers(20, 8, 7.0)) == [4, 12]
    assert not exposure_centers(2, 1, 0.5)


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


@pytest.mark.parametrize("index", [0, 1])
def test_three_frames_become_the_average_of_a_high_rate(index):
    """Against an exposure that is rendered at one instant a pixel; a ghost would cost 10 dB."""
    recipe = Scenes(
        "val", 2, (120, 160), motion_px=12.0, still=0.0, duty_cycle=(0.8, 0.8), cache=None
    )
    scene = recipe.scene(index)
    frames = [CURVE.to_values(view(scene, np.full(1, float(time)))[0]) for time in (-1, 0, 1)]
    true = CURVE.to_values(render(scene, 0))
    light, known = expose(footage(frames, DenseInverseSearch()), 1, 0.8)
    lights = [CURVE.to_light(frame) for frame in frames]
    crossfade = CURVE.to_values(0.2 * lights[0] + 0.6 * lights[1] + 0.2 * lights[2])
    assert psnr(CURVE.to_values(light), true) > 34
    assert psnr(crossfade, true) < psnr(CURVE.to_values(light), true) - 6
    assert psnr(frames[1], true) < psnr(CURVE.to_values(light), true) - 6
    assert known["instants"] >= known["blur_px"]["fastest"] > known["blur_px"]["mean"] > 0


def test_flow_is_estimated_in_pixels_from_the_first_to_the_second():
    wide = np.random.default_rng(0).integers(0, 255, (64, 120, 3)).astype(np.uint8)
    wide = np.repeat(np.repeat(wide[::4, ::4], 4, 0), 4, 1)
    flow = DenseInverseSearch()(wide[:, 10:90], wide[:, 7:87])
    assert flow.shape == (2, 64, 80)
    assert flow[0].median().item() == pytest.approx(3, abs=0.1)
    assert flow[1].median().item() == pytest.approx(0, abs=0.1)


def test_frames_at_the_ends_of_a_pair_are_themselves():
    first, second = torch.rand(3, 8, 9), torch.rand(3, 8, 9)
    pair = Pair(first, second, torch.full((2, 8, 9), 50.0), torch.full((2, 8, 9), -50.0))
    assert torch.equal(pair.at(0.0), first)
    assert torch.equal(pair.at(1.0), second)
    assert torch.isfinite(pair.at(0.5)).all()  # everything is outside


def test_what_leaves_the_image_comes_from_the_other_frame():
    """An image that moves by 8 to the right: its left part is seen only in the second frame."""
    wide = torch.rand(3, 16, 60)
    first, second = wide[..., 20:52], wide[..., 12:44]
    forward = torch.tensor([8.0, 0.0]).view(2, 1, 1).expand(2, 16, 32)
    middle = Pair(first, second, forward, -forward).at(0.5)
    assert torch.allclose(middle, wide[..., 16:48], atol=1e-4)


def blend(first, second, forward, backward, time):
    """The definition, term by term: both frames sampled along Eq. 4 of Super SloMo, and blended."""

    def sample(frame, flow):
        height, width = frame.shape[-2:]
        x, y = torch.arange(width) + flow[0], torch.arange(height)[:, None] + flow[1]
        grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), -1)
        seen = F.grid_sample(frame[None], grid[None], padding_mode="border", align_corners=True)[0]
        return seen, ((x >= 0) & (x < width) & (y >= 0) & (y < height)).float().clamp(min=1e-6)

    rest = 1 - time
    one, in_one = sample(first, time * time * backward - time * rest * forward)
    two, in_two = sample(second, rest * rest * forward - time * rest * backward)
    weights = rest * in_one, time * in_two
    return (weights[0] * one + weights[1] * two) / sum(weights)


def test_interpolation_is_its_definition():
    """Equal to 1e-4 wherever neither frame is sampled within a pixel of its border."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 3, 60, 80, generator=generator)
    coarse = 8 * torch.randn(2, 2, 6, 8, generator=generator)
    forward, backward = F.interpolate(coarse, (60, 80), mode="bicubic")
    for time in (0.1, 0.5, 0.8):
        seen = Pair(first, second, forward, backward).at(time)
        error = (seen - blend(first, second, forward, backward, time)).abs().amax(0)
        assert (error < 1e-4).float().mean() > 0.9
        assert error[20:40, 25:55].max() < 1e-4


def test_scaling_is_in_linear_light():
    stripes = np.zeros((8, 32, 3), np.uint8)
    stripes[:, ::2] = 255
    film = Footage(iter([stripes]), CURVE, 0.5, None)
    film.advance_to(0, 0)
    still = film.still(0)
    assert still.image.shape == (4, 16, 3)
    assert still.light[..., 4:-4].mean().item() == pytest.approx(0.5, abs=0.01)


def test_compression_is_that_of_jpeg():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    smooth = np.full((32, 32, 3), 99, np.uint8)
    assert psnr(compress(image, 20), image) < psnr(compress(image, 95), image)
    assert np.abs(compress(smooth, 90).astype(int) - 99).max() <= 1
