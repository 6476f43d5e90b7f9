"""Blur, flow and occlusion against independent computations with NumPy and SciPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from flowdeblur.blur.degradation import add_noise
from flowdeblur.blur.light import to_8_bit
from flowdeblur.devices import one_thread_per_operation
from flowdeblur.scenes import Scenes
from flowdeblur.scenes.motion import STILL, Motion
from flowdeblur.scenes.render import expose, true_flow, view
from flowdeblur.scenes.scene import Layer, Scene
from flowdeblur.scenes.textures import TEXELS, dead_leaves, soften

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def one_thread():
    with one_thread_per_operation():
        yield


def background(light):
    return Layer(torch.as_tensor(light, dtype=torch.float32), None, Motion())


def scene_of(*layers, camera=None, duty_cycle=1.0):
    return Scene(SIZE, layers, camera or Motion(), duty_cycle, noise=0.0)


def leaves(seed=0):
    size = [TEXELS * (side + 32) for side in SIZE]
    return soften(dead_leaves(np.random.default_rng(seed), *size, 4.0, 40.0))


def moving(x, y=0.0, start=STILL, acceleration=STILL):
    return Motion(start, (x, y, 0.0, 0.0), acceleration)


def sampled(texture, x, y):
    """Bilinear samples (C, H, W) in double precision; x, y in pixels from the texture's centre."""
    height, width = texture.shape[-2:]
    places = (TEXELS * y + (height - 1) / 2, TEXELS * x + (width - 1) / 2)
    return np.stack(
        [ndimage.map_coordinates(plane.double().numpy(), places, order=1) for plane in texture]
    )


def pixels():
    """The pixels' centres (x, y), from the centre of the frame."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    return columns - (SIZE[1] - 1) / 2, rows - (SIZE[0] - 1) / 2


def test_blur_is_the_mean_over_shifted_textures():
    texture, (dx, dy) = leaves(), (7.2, -4.0)
    scene = scene_of(background(texture), camera=moving(dx, dy))
    x, y = pixels()
    instants = (np.arange(9) + 0.5) / 9 - 0.5  # 8.2 pixels: 9 instants
    for frame in (0, 1):
        expected = np.mean(
            [sampled(texture, x - dx * (frame + t), y - dy * (frame + t)) for t in instants], 0
        )
        blurry = expose(scene, frame)
        np.testing.assert_allclose(blurry, expected, atol=1e-5)
        display = np.round(255 * expected ** (1 / 2.2))
        difference = np.abs(to_8_bit(blurry).numpy() - display)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_an_instant_a_pixel_is_as_good_as_the_integral():
    texture, dx = leaves(), 14.3
    scene = scene_of(background(texture), camera=moving(dx))
    x, y = pixels()
    instants = (np.arange(400) + 0.5) / 400 - 0.5
    integral = np.mean([sampled(texture, x - dx * t, y) for t in instants], 0)
    error = to_8_bit(expose(scene, 0)).double() - 255 * torch.from_numpy(integral) ** (1 / 2.2)
    assert error.square().mean().sqrt() < 0.6  # 0.29 by rounding


def test_rotation_zoom_and_opacity():
    below, above = leaves(1), leaves(2)[:, :40, :60]
    opacity = torch.linspace(0, 1, 60).expand(1, 40, 60).clone()
    opacity[:, [0, -1]], opacity[:, :, [0, -1]] = 0, 0  # outside is nothing: no edge to interpolate
    camera = Motion(velocity=(3.0, -2.0, 0.1, 0.05), acceleration=(1.0, 0.5, 0.02, -0.03))
    thing = Motion((5.0, -3.0, 0.4, 0.1), (-2.0, 1.0, -0.2, 0.1), (0.3, 0.0, 0.0, 0.0))
    scene = scene_of(background(below), Layer(above, opacity, thing), camera=camera)
    t = 0.7

    def undone(motion, x, y):
        tx, ty, angle, log_zoom = (
            p + v * t + a * t * t / 2
            for p, v, a in zip(motion.start, motion.velocity, motion.acceleration, strict=True)
        )
        point = (x - tx + 1j * (y - ty)) * np.exp(-1j * angle - log_zoom)
        return point.real, point.imag

    world = undone(camera, *pixels())
    at = undone(thing, *world)
    painted = sampled(torch.cat((above * opacity, opacity)), *at)
    expected = painted[:3] + (1 - painted[3]) * sampled(below, *world)
    np.testing.assert_allclose(view(scene, np.array([t]))[0], expected, atol=2e-4)


def edge_profile(duty_cycle, frame=0, speed=8.0):
    """Position and spread of a vertical edge that moves to the right, from its derivative."""
    height, width = (TEXELS * (side + 32) for side in SIZE)
    edge = torch.sigmoid((torch.arange(width) - (width - 1) / 2) / TEXELS)
    light = edge.expand(3, height, width)
    scene = scene_of(background(light), camera=moving(speed), duty_cycle=duty_cycle)
    slope = np.diff(expose(scene, frame)[0, 10].double().numpy())
    place = pixels()[0][10, :-1] + 0.5
    centre = (slope * place).sum() / slope.sum()
    return centre, (slope * (place - centre) ** 2).sum() / slope.sum()


def test_blur_extent_is_the_duty_cycle_times_the_flow():
    sharp = edge_profile(0.0)[1]
    for duty_cycle in (0.5, 1.0):
        box = np.sqrt(12 * (edge_profile(duty_cycle)[1] - sharp))
        assert box == pytest.approx(8 * duty_cycle, rel=0.02)


@pytest.mark.parametrize("duty_cycle", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("frame", [-1, 0, 1])
def test_a_frame_stands_for_the_middle_of_its_exposure(duty_cycle, frame):
    assert edge_profile(duty_cycle, frame)[0] == pytest.approx(8 * frame, abs=0.01)


@pytest.mark.parametrize("neighbour", [-1, 1])
def test_flow_brings_the_neighbours_sharp_image_back(neighbour):
    recipe = Scenes("train", 6, size=(96, 128), noise=(0.0, 0.0), still=0.0, cache=None)
    flows = recipe.open((0,), (neighbour,))
    x, y = np.meshgrid(np.arange(128.0), np.arange(96.0))
    right, still, off = [], [], []
    for index in range(recipe.count):
        sample, scene = flows[index], recipe.scene(index)
        sharp, visible = sample["sharp"].numpy() / 255, sample["visible"][0].numpy()
        other = to_8_bit(view(scene, np.array([float(neighbour)]))[0]).numpy() / 255
        dx, dy = sample["flow"].double().numpy()
        for errors, (u, v) in ((right, (dx, dy)), (still, (0 * dx, 0 * dy)), (off, (dx + 0.5, dy))):
            warped = [
                ndimage.map_coordinates(plane, (y + v, x + u), order=3, mode="nearest")
                for plane in other
            ]
            errors.append(np.abs(warped - sharp).mean(0)[visible].mean())
    assert np.mean(right) < 0.015
    assert max(right) < 0.03
    assert np.mean(still) > 6 * np.mean(right)
    assert np.mean(off) > 2 * np.mean(right)  # half a pixel is reported


def test_points_are_hidden_where_an_object_comes_to_lie():
    opacity = torch.ones(1, 10 * TEXELS, 10 * TEXELS)
    thing = Layer(torch.ones(3, *opacity.shape[1:]), opacity, moving(4.0))
    scene = scene_of(background(leaves()), thing)
    flow, visible = true_flow(scene, 1)
    x, y = pixels()
    within = (np.abs(x) < 5) & (np.abs(y) < 5)
    hidden = ~within & (np.abs(x - 4) < 5) & (np.abs(y) < 5)
    assert hidden.sum() == 40
    np.testing.assert_array_equal(visible.numpy(), ~hidden)
    np.testing.assert_allclose(flow[0], np.where(within, 4.0, 0.0), atol=1e-5)
    np.testing.assert_allclose(flow[1], 0, atol=1e-5)


def test_points_that_leave_the_image_are_not_visible():
    visible = true_flow(scene_of(background(leaves()), camera=moving(2.5, -1.0)), 1)[1].numpy()
    expected = np.zeros(SIZE, bool)
    expected[1:, :-3] = True
    np.testing.assert_array_equal(visible, expected)


def test_the_nearer_object_has_the_flow_and_hides_the_other():
    opacity = torch.ones(1, 12 * TEXELS, 12 * TEXELS)
    light = torch.ones(3, *opacity.shape[1:])
    far = Layer(light, opacity, moving(3.0, start=(-3.0, 0.0, 0.0, 0.0)))
    near = Layer(light, opacity, moving(-2.0, start=(3.0, 0.0, 0.0, 0.0)))
    flow, visible = true_flow(scene_of(background(leaves()), far, near), 1)
    x, y = pixels()
    rows = np.abs(y) < 6
    on_near, on_far = rows & (np.abs(x - 3) < 6), rows & (np.abs(x + 3) < 6)
    np.testing.assert_allclose(flow[0], np.select([on_near, on_far], [-2.0, 3.0], 0.0), atol=1e-5)
    far_hidden = on_far & ~on_near & (np.abs(x + 3 - 1) < 6)
    ground_hidden = rows & ~on_near & ~on_far & ((np.abs(x) < 6) | (np.abs(x - 1) < 6))
    np.testing.assert_array_equal(visible.numpy(), ~(far_hidden | ground_hidden))


def test_noise_grows_with_the_light():
    random = np.random.default_rng(0)
    for light in (0.0, 0.1, 0.5, 1.0):
        noisy = add_noise(torch.full((3, 200, 200), light), 0.02, random)
        assert float(noisy.mean()) == pytest.approx(light, abs=4e-4)
        assert float(noisy.std()) == pytest.approx(0.02 * np.sqrt(light + 0.01), rel=0.02)


def test_standing_still_is_sharp():
    for sample in Scenes("val", 3, size=(32, 48), motion_px=0.0, noise=(0.0, 0.0), cache=None).open(
        (-1, 0, 1), (1,)
    ):
        assert (sample["frames"] == sample["sharp"]).all()
        assert (sample["flow"] == 0).all()
        assert sample["visible"].all()


def test_an_instant_exposure_is_sharp():
    scene = Scenes("val", 1, size=(32, 48), cache=None).scene(0)
    frozen = dataclasses.replace(scene, duty_cycle=0.0)
    torch.testing.assert_close(expose(frozen, 0), view(frozen, np.zeros(1))[0])
    assert not torch.allclose(expose(scene, 0), view(scene, np.zeros(1))[0], atol=0.02)
