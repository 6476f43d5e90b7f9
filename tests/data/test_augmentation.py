from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from flowdeblur.data.augmentation import ColorPermutation, Crop, Dihedral, ShrunkCrop, TurnedCrop
from flowdeblur.errors import UserError
from flowdeblur.types import Sample

SIZE = (96, 120)


def field(rng: np.random.Generator, amplitude: float, sigma: float = 12.0) -> np.ndarray:
    noise = gaussian_filter(rng.standard_normal(SIZE), sigma)
    return amplitude * noise / np.abs(noise).max()


@functools.cache
def rendered_sample(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    following = np.stack([gaussian_filter(rng.random(SIZE), 2.5) for _ in range(3)])
    following = 255 * (following - following.min()) / np.ptp(following)
    flow = np.stack([field(rng, 5.0), field(rng, 4.0)])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    current = np.stack(
        [map_coordinates(c, (y + flow[1], x + flow[0]), order=1, mode="nearest") for c in following]
    )
    visible = (
        (x + flow[0] >= 0) & (x + flow[0] < SIZE[1]) & (y + flow[1] >= 0) & (y + flow[1] < SIZE[0])
    )
    return {
        "frames": torch.from_numpy(np.stack([current, following]).round()).to(torch.uint8),
        "sharp": torch.from_numpy(current.round()).to(torch.uint8),
        "key": "clip/0",
        "flow": torch.from_numpy(flow).float(),
        "visible": torch.from_numpy(visible[None]),
    }


def moving_sample(seed: int = 0) -> Sample:
    """A smooth image and what it was before a smooth motion: sharp(p) = next(p + flow(p))."""
    return copy.deepcopy(rendered_sample(seed))


def warp_error(sample: Sample) -> float:
    """Mean absolute error, in grey levels, of bringing the next frame back along the flow."""
    following, flow = sample["frames"][1].double().numpy(), sample["flow"].double().numpy()
    height, width = flow.shape[1:]
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = x + flow[0], y + flow[1]
    inside = (
        (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1) & sample["visible"][0].numpy()
    )
    assert inside.mean() > 0.6
    back = np.stack([map_coordinates(c, (y, x), order=1, mode="nearest") for c in following])
    return float(np.abs(back - sample["sharp"].double().numpy())[:, inside].mean())


TRANSFORMS = {
    "crop": Crop((64, 48)),
    "turned crop": TurnedCrop((64, 64)),
    "zoomed out": TurnedCrop((48, 48), scale=(0.6, 0.7), degrees=30),
    "shrunk crop": ShrunkCrop((48, 48), scale=(0.6, 0.8)),
    "dihedral": Dihedral(),
    "colours": ColorPermutation(),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("seed", range(6))
def test_flow_stays_true(name, seed):
    sample = moving_sample()
    if name == "dihedral":
        sample = Crop((90, 90))(sample, np.random.default_rng(seed))
    unchanged = warp_error(sample)
    result = TRANSFORMS[name](sample, np.random.default_rng(seed))
    assert warp_error(result) < unchanged + 0.8
    no_flow: Sample = {**result, "flow": torch.zeros_like(result["flow"])}
    assert warp_error(no_flow) > 4 * warp_error(result)  # the check is worth something


@pytest.mark.parametrize("name", TRANSFORMS)
def test_one_draw_for_everything(name):
    """Frame 0 and the sharp image are the same here, and must stay so."""
    result = TRANSFORMS[name](moving_sample(), np.random.default_rng(3))
    assert torch.equal(result["frames"][0], result["sharp"])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_draws_depend_only_on_the_generator(name):
    first, second, other = (
        TRANSFORMS[name](moving_sample(), np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(first["frames"], second["frames"])
    assert torch.equal(first["flow"], second["flow"])
    different = [not torch.equal(first["frames"], other["frames"])]
    different += [
        not torch.equal(
            first["frames"], TRANSFORMS[name](moving_sample(), np.random.default_rng(s))["frames"]
        )
        for s in range(7, 12)
    ]
    assert any(different)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_sample_itself_is_untouched(name):
    sample, before = moving_sample(), moving_sample()
    TRANSFORMS[name](sample, np.random.default_rng(1))
    assert all(
        torch.equal(sample[key], before[key]) for key in ("frames", "sharp", "flow", "visible")
    )


def test_crop_reaches_every_window():
    sample = moving_sample()
    corners = set()
    for seed in range(200):
        cut = Crop((SIZE[0] - 1, SIZE[1] - 1))(sample, np.random.default_rng(seed))["sharp"]
        for top in (0, 1):
            for left in (0, 1):
                if torch.equal(
                    cut, sample["sharp"][:, top : top + SIZE[0] - 1, left : left + SIZE[1] - 1]
                ):
                    corners.add((top, left))
    assert len(corners) == 4


def test_dihedral_reaches_all_eight_symmetries():
    square = Crop((32, 32))(moving_sample(), np.random.default_rng(0))
    results = {
        Dihedral()(square, np.random.default_rng(seed))["sharp"].numpy().tobytes()
        for seed in range(100)
    }
    assert len(results) == 8


def test_dihedral_keeps_the_shape_of_oblongs():
    for seed in range(20):
        result = Dihedral()(moving_sample(), np.random.default_rng(seed))
        assert result["sharp"].shape[-2:] == SIZE


def test_unturned_unscaled_crop_is_a_crop():
    plain = TurnedCrop(SIZE, scale=(1.0, 1.0), degrees=0.0)(
        moving_sample(), np.random.default_rng(0)
    )
    assert (plain["sharp"].int() - moving_sample()["sharp"].int()).abs().max() <= 1
    assert torch.allclose(plain["flow"], moving_sample()["flow"], atol=1e-3)


def test_enlarging_enlarges_the_flow():
    sample = moving_sample()
    sample["flow"] = torch.tensor([2.0, -1.0]).view(2, 1, 1).expand(2, *SIZE).clone()
    result = TurnedCrop((32, 32), scale=(1.5, 1.5), degrees=0.0)(sample, np.random.default_rng(0))
    assert torch.allclose(result["flow"][0], torch.tensor(3.0), atol=1e-4)
    assert torch.allclose(result["flow"][1], torch.tensor(-1.5), atol=1e-4)


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.75])
def test_shrinking_shows_the_whole_as_pillow_does(scale):
    sample = moving_sample()
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    result = ShrunkCrop(size, scale=(0.01, 0.01))(sample, np.random.default_rng(0))
    for frame, small in zip(sample["frames"], result["frames"], strict=True):
        image = Image.fromarray(frame.permute(1, 2, 0).numpy())
        expected = np.array(image.resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(small.permute(1, 2, 0).numpy() - expected).max() <= 2


def test_shrinking_shortens_the_flow_and_hides_what_is_partly_hidden():
    sample = moving_sample()
    sample["flow"] = torch.tensor([2.0, -1.0]).view(2, 1, 1).expand(2, *SIZE).clone()
    sample["visible"] = torch.ones(1, *SIZE, dtype=torch.bool)
    sample["visible"][0, 7, 9] = False
    result = ShrunkCrop((24, 30), scale=(0.25, 0.25))(sample, np.random.default_rng(0))
    assert torch.allclose(result["flow"][0], torch.tensor(0.5))
    assert torch.allclose(result["flow"][1], torch.tensor(-0.25))
    hidden = ~result["visible"][0]
    assert hidden.sum() == 1
    assert hidden[1, 2]


def test_shrinking_draws_scales_from_its_range():
    sample = moving_sample()
    sample["flow"] = torch.ones(2, *SIZE)
    scales = [
        float(
            ShrunkCrop((16, 16), (0.25, 1.0))(sample, np.random.default_rng(seed))["flow"][0, 0, 0]
        )
        for seed in range(200)
    ]
    assert 0.24 < min(scales) < 0.3
    assert 0.9 < max(scales) <= 1
    assert 0.4 < np.median(scales) < 0.6  # log-uniform: half of them shrink to less than a half


def test_images_of_unlike_sizes_are_shrunk_to_alike_ones():
    crop = ShrunkCrop((16, 16), lines=(24, 48))
    for height, low, high in [(192, 24, 48), (40, 24, 40), (20, 20, 20)]:
        sample = Sample(
            frames=torch.zeros(1, 3, height, 256, dtype=torch.uint8),
            sharp=torch.zeros(3, height, 256, dtype=torch.uint8),
            flow=torch.full((2, height, 256), float(height)),  # as long as the image is high
            visible=torch.ones(1, height, 256, dtype=torch.bool),
            key="clip/0",
        )
        lines = [crop(sample, np.random.default_rng(seed))["flow"][1, 0, 0] for seed in range(100)]
        assert min(lines) == pytest.approx(low, rel=0.1)
        assert max(lines) == pytest.approx(high, rel=0.1)


@pytest.mark.parametrize("lines", [(0, 180), (360, 180)])
def test_lines_that_are_no_range_are_refused(lines):
    with pytest.raises(UserError, match=r"data.crop.lines=.* must ascend, above 0"):
        ShrunkCrop((8, 8), lines=lines)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.5, 0.25), (0.5, 2.0)])
def test_scales_that_do_not_shrink_are_refused(scale):
    with pytest.raises(UserError, match=r"data.crop.scale=.* must ascend, above 0 and at most 1"):
        ShrunkCrop((8, 8), scale)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (1.5, 0.5)])
def test_scales_of_a_turned_crop_ascend(scale):
    with pytest.raises(UserError, match=r"data.crop.scale=.* must ascend, above 0$"):
        TurnedCrop((8, 8), scale)


@pytest.mark.parametrize("crop", [Crop, ShrunkCrop, TurnedCrop])
def test_too_small_frames_are_named(crop):
    with pytest.raises(UserError, match=r"data.patch is 128x64.*clip/0 has only 96x120"):
        crop((128, 64))(moving_sample(), np.random.default_rng(0))


def test_samples_without_flow_pass():
    sample = moving_sample()
    del sample["flow"], sample["visible"]
    for transform in TRANSFORMS.values():
        assert "flow" not in transform(sample, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(4))
def test_a_turned_crop_is_one_bilinear_sampling(seed):
    sample, size = moving_sample(), (40, 56)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    sample["visible"] = torch.from_numpy(np.stack([x, y]))  # cut like an image: where a pixel was
    result = TurnedCrop(size, degrees=25)(sample, np.random.default_rng(seed))
    x, y = result["visible"].numpy().astype(float)
    for frame, cut in zip(sample["frames"], result["frames"], strict=True):
        for plane, found in zip(frame.numpy(), cut.numpy(), strict=True):
            expected = map_coordinates(plane.astype(float), (y, x), order=1, mode="nearest")
            assert np.abs(expected - found).max() <= 0.6  # rounding to 8 bits
    places = x + 1j * y
    right, down = np.diff(places, axis=1), np.diff(places, axis=0)
    assert np.allclose(right, right[0, 0], atol=1e-3)
    assert np.allclose(down, 1j * right[0, 0], atol=1e-3)  # turned and scaled, not sheared
    assert 0.8 - 1e-3 <= np.abs(right[0, 0]) <= 1.25 + 1e-3
    assert np.abs(np.degrees(np.angle(right[0, 0]))) <= 25.1


class Spied:
    """A tensor that records which part of it was read."""

    def __init__(self, tensor):
        self.tensor, self.read = tensor, []

    def __getitem__(self, key):
        part = self.tensor[key]
        self.read.append(tuple(part.shape[-2:]))
        return part

    def __getattr__(self, name):
        assert name in {"shape", "dtype", "is_floating_point"}, f"{name} may read all of it"
        return getattr(self.tensor, name)


@pytest.mark.parametrize("crop", [Crop((32, 32)), TurnedCrop((32, 32), scale=(1, 1), degrees=45)])
@pytest.mark.parametrize("seed", range(5))
def test_crops_read_no_more_than_they_see(crop, seed):
    sample = moving_sample()
    spied = {name: Spied(sample[name]) for name in ("frames", "sharp", "flow", "visible")}
    crop({**sample, **spied}, np.random.default_rng(seed))
    most = 32 * np.sqrt(2) + 2
    for tensor in spied.values():
        assert tensor.read
        assert all(max(shape) <= most for shape in tensor.read)
