from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from flowdeblur.blur.degradation import add_noise, compress, expand_highlights
from flowdeblur.data import CameraDegradation, SoftFocus
from flowdeblur.data.degradation import expose
from flowdeblur.errors import UserError


def sample(value=120, size=(64, 64), frames=2):
    image = torch.full((3, *size), value, dtype=torch.uint8)
    return {"frames": image.expand(frames, 3, *size).clone(), "sharp": image, "key": "a/0"}


def only(**settings):
    """A camera that does nothing but what ``settings`` say."""
    plain = {"gain": (1, 1), "noise": (0, 0), "gamma": (2.2, 2.2), "jpeg_share": 0.0}
    return CameraDegradation(share=1.0, **{**plain, **settings})


@pytest.mark.parametrize("value", [40, 120, 200])
@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_has_the_mean_and_the_variance_of_the_formula_in_linear_light(value, noise):
    light = (value / 255) ** 2.2
    values = np.full((3, 256, 256), value, np.uint8)
    curve = (np.arange(256) / 255) ** 2.2
    noisy = expose(values, curve, noise, 2.2, np.random.default_rng(0))
    seen = (noisy / 255.0) ** 2.2
    deviation = noise * np.sqrt(light + 0.1**2)
    assert seen.mean() == pytest.approx(light, abs=4 * deviation / np.sqrt(seen.size) + 2e-5)
    assert seen.std() == pytest.approx(deviation, rel=0.02)
    other = add_noise(torch.full((3, 256, 256), light), noise, np.random.default_rng(1))
    assert other.std().item() == pytest.approx(deviation, rel=0.02)


def test_noise_differs_from_frame_to_frame_and_its_level_does_not():
    result = only(noise=(0.03, 0.03))(sample(size=(200, 200)), np.random.default_rng(0))
    one, other = result["frames"].double()
    assert (one != other).double().mean() > 0.5
    assert one.std().item() == pytest.approx(other.std().item(), rel=0.02)
    assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].abs() < 0.02
    assert torch.equal(result["sharp"], sample()["sharp"][:, :1, :1].expand(3, 200, 200))


@pytest.mark.parametrize(("gain", "gamma"), [(1.0, 2.2), (0.7, 1.8), (2.0, 2.6)])
def test_gain_and_response_are_those_of_the_formula_for_all_frames(gain, gamma):
    ramp = torch.arange(256, dtype=torch.uint8).expand(3, 16, 256)
    before = {"frames": ramp.expand(2, 3, 16, 256), "sharp": ramp, "key": "a/0"}
    camera = only(gain=(gain, gain), gamma=(gamma, gamma))
    after = camera(before, np.random.default_rng(0))
    light = np.clip(gain * (np.arange(256) / 255) ** 2.2, 0, 1)
    expected = 255 * light ** (1 / gamma)
    for image in (after["sharp"], *after["frames"]):
        assert np.abs(image.numpy() - expected).max() <= 0.51 + 0.16
    if gain > 1:
        assert (after["sharp"] == 255).double().mean() > 0.2  # highlights are clipped


def test_draws_depend_only_on_the_generator():
    camera, before = CameraDegradation(share=1.0), sample()
    results = [camera(before, np.random.default_rng(seed))["frames"] for seed in (1, 1, 2)]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(before["frames"], sample()["frames"])  # the source is not changed


def test_the_shares():
    camera = CameraDegradation(share=0.3, gain=(0.5, 0.5))
    rng, before = np.random.default_rng(0), sample(size=(8, 8))
    changed = sum(camera(before, rng) is not before for _ in range(1000))
    assert changed == pytest.approx(300, abs=45)
    soft = SoftFocus(share=0.2)
    changed = sum(soft(before, rng) is not before for _ in range(300))
    assert changed == pytest.approx(60, abs=25)


def test_compression_halves_the_resolution_of_color_and_not_of_brightness():
    red, blue = np.array((200, 60, 60)), np.array((60, 101, 200))  # equal luma
    columns = np.arange(64) % 2 == 0
    color = np.where(columns[None, :, None], red, blue).astype(np.uint8).repeat(64, 0)
    gray = np.where(columns[None, :, None], 180, 80).astype(np.uint8).repeat(64, 0).repeat(3, 2)
    assert compress(color, 95).std(1).mean() < 0.2 * color.std(1).mean()
    assert compress(gray, 95).std(1).mean() > 0.9 * gray.std(1).mean()


def test_compression_is_of_the_blurry_frames_and_of_one_quality():
    texture = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8))
    before = {"frames": torch.stack([texture, texture]), "sharp": texture, "key": "a/0"}
    after = only(jpeg=(30, 30), jpeg_share=1.0)(before, np.random.default_rng(0))
    expected = compress(texture.permute(1, 2, 0).contiguous().numpy(), 30).transpose(2, 0, 1)
    assert np.array_equal(after["frames"][0].numpy(), expected)
    assert torch.equal(after["frames"][0], after["frames"][1])
    assert torch.equal(after["sharp"], texture)


def test_soft_focus_is_a_gaussian_of_all_frames():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 255, (3, 40, 50), np.uint8))
    before = {"frames": torch.stack([image, image.flip(-1)]), "sharp": image, "key": "a/0"}
    after = SoftFocus(share=1.0, sigma=(1.0, 1.0))(before, rng)
    expected = gaussian_filter(image.double().numpy(), (0, 1, 1), mode="nearest", truncate=3.0)
    assert np.abs(after["sharp"].numpy() - expected).max() <= 0.75
    assert torch.equal(after["frames"][0], after["sharp"])
    assert torch.equal(after["frames"][1], after["sharp"].flip(-1))


def test_highlights_grow_smoothly_from_nine_tenths_of_white():
    light = torch.linspace(0, 1, 101).expand(3, 1, 101)
    bright = expand_highlights(light, 3.0)[0, 0]
    assert torch.equal(bright[:90], light[0, 0, :90])
    assert bright[-1] == 3
    assert bright.diff().min() > 0
    assert torch.equal(expand_highlights(light, 1.0), light)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.5}, r"CameraDegradation.share=1.5: must be from 0 to 1"),
        ({"jpeg": (60, 120)}, r"CameraDegradation.jpeg=\[60, 120\]: must ascend, from 1 to 100"),
        ({"noise": (0.2, 0.1)}, r"CameraDegradation.noise=\[0.2, 0.1\]: must ascend"),
        ({"gain": (0, 1)}, r"CameraDegradation.gain=\[0, 1\]: must ascend, from 0.01"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        CameraDegradation(**settings)


@pytest.mark.parametrize("sigma", [(0.0, 1.0), (1.0, 0.5)])
def test_sigmas_of_soft_focus_ascend(sigma):
    with pytest.raises(UserError, match=r"SoftFocus.sigma=.*: must ascend, from 0.01"):
        SoftFocus(1.0, sigma)
