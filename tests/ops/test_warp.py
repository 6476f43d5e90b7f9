from __future__ import annotations

import math

import pytest
import torch
from kornia.geometry.transform import remap

from flowdeblur.ops import backward_warp, inside


def make_inputs(batch=2, channels=3, height=9, width=11, reach=4.0):
    generator = torch.Generator().manual_seed(height * width)
    image = torch.rand((batch, channels, height, width), generator=generator, dtype=torch.float64)
    flow = torch.rand((batch, 2, height, width), generator=generator, dtype=torch.float64)
    return image, reach * (2 * flow - 1)


def sampled_by_hand(image, flow):
    """Bilinear sampling, pixel by pixel, with the rule of the paper's released code."""
    batch, _, height, width = image.shape
    result = torch.zeros_like(image)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                u, v = x + flow[b, 0, y, x].item(), y + flow[b, 1, y, x].item()
                if not (0 <= u < width and 0 <= v < height):
                    continue
                left, top = math.floor(u), math.floor(v)
                right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                a, c = u - left, v - top
                above = (1 - a) * image[b, :, top, left] + a * image[b, :, top, right]
                below = (1 - a) * image[b, :, low, left] + a * image[b, :, low, right]
                result[b, :, y, x] = (1 - c) * above + c * below
    return result


@pytest.mark.parametrize(("height", "width"), [(9, 11), (1, 11), (9, 1), (1, 1), (2, 2)])
def test_bilinear_with_the_rule_at_the_border(height, width):
    image, flow = make_inputs(height=height, width=width, reach=3)
    torch.testing.assert_close(backward_warp(image, flow), sampled_by_hand(image, flow))


@pytest.mark.parametrize(
    ("target", "kept"),
    [(-0.01, False), (0, True), (3, True), (3.6, True), (3.999, True), (4, False)],
)
@pytest.mark.parametrize("channel", [0, 1])
def test_a_target_is_inside_from_zero_to_below_the_size(channel, target, kept):
    image = torch.full((1, 1, 4, 4), 5.0)
    flow = torch.zeros(1, 2, 4, 4)
    flow[0, channel] = target - 2  # seen from the pixel (2, 2)
    assert inside(flow)[0, 0, 2, 2].item() is kept
    assert backward_warp(image, flow)[0, 0, 2, 2].item() == pytest.approx(5.0 if kept else 0.0)


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 2), (-3, 1)])
def test_a_flow_of_whole_pixels_fetches_from_x_plus_dx(dx, dy):
    image, flow = make_inputs()
    flow[:, 0], flow[:, 1] = dx, dy
    warped = backward_warp(image, flow)
    mask = inside(flow)
    rolled = image.roll((-dy, -dx), dims=(2, 3))
    torch.testing.assert_close(warped, rolled * mask)
    assert mask.sum() == 2 * (9 - abs(dy)) * (11 - abs(dx))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_flow_changes_nothing(dtype):
    image, flow = make_inputs(height=72, width=128)
    warped = backward_warp(image.to(dtype), torch.zeros_like(flow, dtype=dtype))
    # grid_sample works in [-1, 1]: the way there and back costs a rounding of the coordinate.
    tolerance = 128 * torch.finfo(dtype).eps
    torch.testing.assert_close(warped, image.to(dtype), rtol=tolerance, atol=tolerance)


def test_agrees_with_kornia_inside():
    image, flow = make_inputs(height=20, width=30)
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    target_x, target_y = x + flow[:, 0], y + flow[:, 1]
    theirs = remap(image, target_x, target_y, align_corners=True)
    within = (target_x >= 0) & (target_x <= 29) & (target_y >= 0) & (target_y <= 19)
    assert within.float().mean() > 0.5
    ours = backward_warp(image, flow)
    torch.testing.assert_close(ours * within[:, None], theirs * within[:, None])


def test_gradients_reach_image_and_flow():
    image, flow = make_inputs(batch=1, channels=2, height=4, width=5, reach=2)
    assert torch.autograd.gradcheck(backward_warp, (image.requires_grad_(), flow.requires_grad_()))


@pytest.mark.parametrize(
    ("image", "flow"),
    [((2, 3, 4, 5), (2, 3, 4, 5)), ((2, 3, 4, 5), (1, 2, 4, 5)), ((3, 4, 5), (2, 4, 5))],
)
def test_wrong_shapes_are_named(image, flow):
    with pytest.raises(ValueError, match=rf"\({image[0]}, {image[1]}.*{flow[-1]}\)"):
        backward_warp(torch.zeros(image), torch.zeros(flow))
