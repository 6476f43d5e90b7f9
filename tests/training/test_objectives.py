from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage.metrics import peak_signal_noise_ratio

from flowdeblur.errors import UserError
from flowdeblur.training.objectives import (
    Charbonnier,
    EndPointError,
    LogMeanSquare,
    Objective,
    Warping,
    downsample,
    squared,
)
from flowdeblur.types import Batch, Restoration

SCALES = (64, 32, 16, 8, 4)


def random_batch(batch=2, height=128, width=64, frames=2, seed=0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return {
        "frames": torch.rand(batch, frames, 3, height, width, generator=generator),
        "sharp": torch.rand(batch, 3, height, width, generator=generator),
        "key": [f"clip/{i}" for i in range(batch)],
    }


def random_prediction(batch: Batch, neighbours=1, seed=1) -> Restoration:
    generator = torch.Generator().manual_seed(seed)
    size, _, height, width = batch["sharp"].shape
    height, width = -(-height // 64) * 64, -(-width // 64) * 64
    flows = tuple(
        3 * torch.randn(size, 2 * neighbours, height // scale, width // scale, generator=generator)
        for scale in SCALES
    )
    return Restoration(torch.rand(batch["sharp"].shape, generator=generator), flows, ())


def pillow_downsample(image: np.ndarray, scale: int) -> np.ndarray:
    """(3, H, W) shrunk by Pillow's antialiased bicubic filter, which is MATLAB's imresize."""
    size = (image.shape[2] // scale, image.shape[1] // scale)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BICUBIC)) for c in image]
    )


def scipy_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """(3, h, w) sampled at (x + dx, y + dy); 0 where that is outside 0 <= x < w, 0 <= y < h."""
    y, x = np.mgrid[: image.shape[1], : image.shape[2]].astype(np.float64)
    x, y = x + flow[0], y + flow[1]
    warped = np.stack([map_coordinates(c, (y, x), order=1, mode="nearest") for c in image])
    return warped * ((x >= 0) & (x < image.shape[2]) & (y >= 0) & (y < image.shape[1]))


def equation_14(batch: Batch, prediction: Restoration) -> tuple[float, float]:
    """The two terms of Eq. 14, computed with Pillow and SciPy in a loop over samples and scales."""
    warping = restoration = 0.0
    count = len(batch["key"])
    for i in range(count):
        current, other = batch["frames"][i].numpy()
        for scale, flow in zip(SCALES, prediction.flows, strict=True):
            warped = scipy_warp(pillow_downsample(other, scale), flow[i].double().numpy())
            warping += ((warped - pillow_downsample(current, scale)) ** 2).sum()
        difference = prediction.restored[i].double() - batch["sharp"][i].double()
        restoration += (difference**2).sum().item()
    return warping / count, restoration / count


def test_equation_14():
    batch = random_batch()
    prediction = random_prediction(batch)
    objective = Objective(restoration=squared, warping=Warping(), sums=True)
    terms = objective(prediction, batch, (0, 1), (1,))
    warping, restoration = equation_14(batch, prediction)
    assert terms["warping"].item() == pytest.approx(warping, rel=1e-4)
    assert terms["restoration"].item() == pytest.approx(restoration, rel=1e-5)
    assert terms["total"].item() == pytest.approx(warping + restoration, rel=1e-4)


def test_values_divide_every_term_alike():
    batch = random_batch()
    batch["flow"] = torch.randn(2, 2, 128, 64)
    prediction = random_prediction(batch)
    parts = {"restoration": squared, "warping": Warping(), "end_point": EndPointError()}
    sums = Objective(**parts, sums=True)(prediction, batch, (0, 1), (1,))
    values = Objective(**parts, sums=False)(prediction, batch, (0, 1), (1,))
    for name in sums:
        assert sums[name].item() == pytest.approx(values[name].item() * 3 * 128 * 64, rel=1e-5)


def test_batch_counts_as_the_mean_of_its_samples():
    batch = random_batch(batch=2)
    prediction = random_prediction(batch)
    objective = Objective(restoration=squared, warping=Warping())
    together = objective(prediction, batch, (0, 1), (1,))["total"]
    apart = []
    for i in range(2):
        one: Batch = {
            "frames": batch["frames"][i : i + 1],
            "sharp": batch["sharp"][i : i + 1],
            "key": ["a"],
        }
        part = Restoration(
            prediction.restored[i : i + 1], tuple(each[i : i + 1] for each in prediction.flows), ()
        )
        apart.append(objective(part, one, (0, 1), (1,))["total"])
    assert together.item() == pytest.approx(sum(each.item() for each in apart) / 2, rel=1e-5)


def test_no_motion_costs_nothing_at_any_scale():
    batch = random_batch()
    batch["frames"][:, 1] = batch["frames"][:, 0]
    flows = tuple(torch.zeros_like(each) for each in random_prediction(batch).flows)
    prediction = Restoration(batch["sharp"], flows, ())
    terms = Objective(restoration=squared, warping=Warping())(prediction, batch, (0, 1), (1,))
    assert terms["total"] < 1e-12


def test_both_neighbours_are_warped_with_their_own_flow():
    batch = random_batch(frames=3)
    prediction = random_prediction(batch, neighbours=2)
    both = Objective(warping=Warping())(prediction, batch, (-1, 0, 1), (-1, 1))["warping"]
    apart = 0.0
    for position, frames in ((0, [1, 0]), (1, [1, 2])):
        flows = tuple(each[:, 2 * position : 2 * position + 2] for each in prediction.flows)
        pair: Batch = {**batch, "frames": batch["frames"][:, frames]}
        part = Restoration(prediction.restored, flows, ())
        apart += Objective(warping=Warping())(part, pair, (0, 1), (1,))["warping"].item()
    assert both.item() == pytest.approx(apart, rel=1e-5)


def test_outside_can_be_left_out():
    batch = random_batch()
    prediction = random_prediction(batch)
    away = Restoration(prediction.restored, tuple(each + 1000 for each in prediction.flows), ())
    masked = Objective(warping=Warping(count_outside=False))(away, batch, (0, 1), (1,))
    counted = Objective(warping=Warping(count_outside=True))(away, batch, (0, 1), (1,))
    assert masked["warping"] == 0
    assert counted["warping"] > 0


@pytest.mark.parametrize("size", [(100, 70), (3, 200), (64, 65)])
def test_sizes_that_are_padded_inside(size):
    batch = random_batch(height=size[0], width=size[1])
    batch["flow"] = torch.randn(2, 2, *size)
    batch["visible"] = torch.rand(2, 1, *size) > 0.3
    terms = Objective(restoration=squared, warping=Warping(), end_point=EndPointError())(
        random_prediction(batch), batch, (0, 1), (1,)
    )
    assert all(torch.isfinite(each) for each in terms.values())


def test_a_network_without_flow_has_no_flow_terms():
    batch = random_batch(frames=1)
    batch["flow"] = torch.randn(2, 2, 128, 64)
    prediction = Restoration(batch["sharp"], (), ())
    objective = Objective(restoration=squared, warping=Warping(), end_point=EndPointError())
    assert set(objective(prediction, batch, (0,), ())) == {"restoration", "total"}


def test_no_term_at_all_is_an_error():
    batch = random_batch()
    with pytest.raises(UserError, match="no term applies"):
        Objective(end_point=EndPointError())(random_prediction(batch), batch, (0, 1), (1,))


def test_end_point_error_is_a_distance_in_full_size_pixels():
    true_flow = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 64, 128)
    flows = tuple(torch.zeros(1, 2, 64 // scale, 128 // scale) for scale in SCALES)
    assert EndPointError()(flows, true_flow, None).item() == pytest.approx(
        5 * len(SCALES), rel=1e-6
    )
    right = tuple(true_flow[..., ::scale, ::scale] / scale for scale in SCALES)
    assert EndPointError()(right, true_flow, None).item() == pytest.approx(0, abs=1e-5)


def test_end_point_error_leaves_occluded_pixels_out():
    true_flow = torch.zeros(1, 2, 64, 64)
    true_flow[..., :32] = 1e4
    visible = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    visible[..., :32] = False
    flows = tuple(torch.zeros(1, 2, 64 // scale, 64 // scale) for scale in SCALES)
    assert EndPointError()(flows, true_flow, visible).item() == pytest.approx(0, abs=1e-5)


def test_charbonnier_is_a_smooth_absolute_value():
    values = torch.tensor([-2.0, -0.5, 0.0, 0.25, 3.0])
    assert torch.allclose(Charbonnier(1e-3)(values), values.abs(), atol=1e-3)
    assert Charbonnier(1e-3)(torch.tensor(0.0)).item() == pytest.approx(1e-3)


def test_log_mean_square_is_minus_the_psnr_of_each_frame():
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(3, 3, 16, 24, generator=generator)
    noise = torch.randn(sharp.shape, generator=generator) * torch.tensor([0.3, 0.03, 0.003]).view(
        3, 1, 1, 1
    )
    restored = (sharp + noise).requires_grad_()
    penalties = LogMeanSquare(epsilon=0.0)(restored - sharp)
    assert penalties.shape == (3, 1, 1, 1)
    expected = [
        -peak_signal_noise_ratio(s.numpy(), r.detach().numpy(), data_range=1.0)
        for r, s in zip(restored, sharp, strict=True)
    ]
    assert penalties.flatten().tolist() == pytest.approx(expected, abs=1e-3)
    objective = Objective(restoration=LogMeanSquare(epsilon=0.0))
    batch = {"sharp": sharp, "frames": sharp[:, None], "key": ["a", "b", "c"]}
    loss = objective(Restoration(restored, (), ()), batch, (0,), ())["total"]
    assert loss.item() == pytest.approx(sum(expected) / 3, abs=1e-3)
    loss.backward()
    scale = restored.grad.flatten(1).norm(dim=1) * (restored - sharp).detach().flatten(1).norm(
        dim=1
    )
    assert torch.allclose(scale, scale[0].expand(3), rtol=1e-4)  # every frame counts alike


def test_a_frame_that_is_sharp_already_does_not_drown_the_others():
    difference = torch.randn(2, 3, 40, 50)
    difference[0] *= 10 ** (-25 / 20)
    difference[1] *= 10 ** (-45 / 20)
    difference.requires_grad_()
    LogMeanSquare()(difference).sum().backward()
    blurry, sharp = difference.grad.flatten(1).norm(dim=1)
    assert sharp < blurry


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_downsampling_is_matlabs(scale):
    image = torch.rand(1, 3, 48, 80)
    ours = downsample(image, scale)[0].numpy()
    assert np.allclose(ours, pillow_downsample(image[0].numpy(), scale), atol=1e-5)
