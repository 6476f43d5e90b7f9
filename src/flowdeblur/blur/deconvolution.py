"""Deconvolution of a known blur, the classic method that learned restoration is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.blur.kernels import Trail, reblur
from flowdeblur.blur.light import GAMMA

_DARKEST = 1e-4
"""Smallest light that is divided by."""


def richardson_lucy(
    blurry: Tensor, trail: Trail, duty_cycle: float, *, iterations: int = 10, gamma: float = GAMMA
) -> Tensor:
    """Deconvolve along trails: Richardson (JOSA 1972) and Lucy (AJ 1974), blur by blur's own pixel.

    Each iteration multiplies the estimate x by B'(y / Bx) / B'1, where y is the blurry light, B
    averages along the trails and B' is its transpose.

    Args:
        blurry: (B, 3, H, W) in [0, 1].
        trail: of its pixels, (B, 2, H, W) each, in pixels.
        duty_cycle: exposure / frame interval, in [0, 1].
        iterations: more sharpen more, and raise noise.
        gamma: display value = light ^ (1 / gamma).

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    light = blurry.clamp(0, 1) ** gamma

    def blur(image: Tensor) -> Tensor:
        return reblur(image, trail, duty_cycle, gamma=1)

    with torch.enable_grad():
        transpose = torch.func.vjp(blur, torch.full_like(light, 0.5))[1]  # blur is linear
    (coverage,) = transpose(torch.ones_like(light))
    estimate = light
    for _ in range(iterations):
        (correction,) = transpose(light / blur(estimate).clamp(min=_DARKEST))
        estimate = (estimate * correction / coverage.clamp(min=_DARKEST)).clamp(0, 1)
    return estimate ** (1 / gamma)
