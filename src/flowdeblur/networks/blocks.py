"""The three kinds of layer that Table I is made of, and downsampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Convolution that pads by half its kernel: stride 1 keeps the size, stride 2 halves it."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


def deconv(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Transposed convolution, 4x4, stride 2: doubles the size."""
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


def relu(x: Tensor) -> Tensor:
    """The leaky ReLU that the paper's network uses wherever it has an activation.

    In inference mode it overwrites ``x``, a layer's output that nothing else reads. A compiler
    chooses for itself, and could not trace the question.
    """
    inplace = not torch.compiler.is_compiling() and torch.is_inference_mode_enabled()
    return F.leaky_relu(x, 0.1, inplace=inplace)


def downsample(image: Tensor, scale: int) -> Tensor:
    """Downsample (B, C, H, W) by an integer factor, like MATLAB's imresize.

    The filter is bicubic and antialiased, on the half-pixel grid.
    """
    size = (image.shape[-2] // scale, image.shape[-1] // scale)
    cropped = image[..., : size[0] * scale, : size[1] * scale]
    return F.interpolate(cropped, size, mode="bicubic", align_corners=False, antialias=True)
