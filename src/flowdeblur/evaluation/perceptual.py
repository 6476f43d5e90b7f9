"""Perceptual distances by features of image classifiers: LPIPS and DISTS.

The classifiers' weights are read from a file, nothing is downloaded. Their layers are plain torch;
the weights that LPIPS and DISTS have learned are those that torchmetrics ships.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from flowdeblur.errors import UserError

_URL = "https://download.pytorch.org/models"
_ALEXNET = f"{_URL}/alexnet-owt-7be5be79.pth"
_VGG16 = f"{_URL}/vgg16-397923af.pth"
_CONSTANT = 1e-6  # of DISTS, in both terms

Stages = Sequence[nn.Module]
"""Parts of a classifier; the output of each is compared."""


class LPIPS:
    """Learned perceptual image patch similarity, version 0.1.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR
    2018. Range: 0 or more, mostly below 1; lower is better. Needs sharp frames.

    Args:
        stages: parts of AlexNet or VGG16, with their weights.
        linear: weights of the channels of each stage, (1, C, 1, 1) each.
    """

    higher_is_better = False

    def __init__(self, stages: Stages, linear: Sequence[Tensor]) -> None:
        self._stages, self._linear = nn.ModuleList(stages).eval().requires_grad_(False), linear

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,); H and W at least 64."""
        _require_size(restored, "LPIPS")
        self._stages.to(restored.device)
        shift = restored.new_tensor((-0.030, -0.088, -0.188))[:, None, None]
        scale = restored.new_tensor((0.458, 0.448, 0.450))[:, None, None]
        one, other = ((2 * each - 1 - shift) / scale for each in (restored.clamp(0, 1), sharp))
        total = restored.new_zeros(len(restored))
        with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
            for stage, linear in zip(self._stages, self._linear, strict=True):
                one, other = stage(one), stage(other)
                weights = linear.to(one)
                total += ((_unit(one) - _unit(other)) ** 2 * weights).sum(1).mean((1, 2))
        return total


class DISTS:
    """Deep image structure and texture similarity.

    Ding et al., "Image Quality Assessment: Unifying Structure and Texture Similarity", IEEE TPAMI
    2022. Range: 0 to 1; lower is better. Needs sharp frames.

    Args:
        stages: parts of VGG16, with their weights.
        alpha: weights of the means of all channels, those of the image first: (1, 1475, 1, 1).
        beta: weights of their covariances.
    """

    higher_is_better = False

    def __init__(self, stages: Stages, alpha: Tensor, beta: Tensor) -> None:
        self._stages = nn.ModuleList(stages).eval().requires_grad_(False)
        total = alpha.sum() + beta.sum()
        self._weights = (alpha / total).flatten(), (beta / total).flatten()

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """Score each frame (B, 3, H, W) -> (B,); H and W at least 64."""
        _require_size(restored, "DISTS")
        self._stages.to(restored.device)
        mean = restored.new_tensor((0.485, 0.456, 0.406))[:, None, None]
        scale = restored.new_tensor((0.229, 0.224, 0.225))[:, None, None]
        one, other = restored.clamp(0, 1), sharp
        similarities = [_similarity(one, other)]
        one, other = (one - mean) / scale, (other - mean) / scale
        with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
            for stage in self._stages:
                one, other = stage(one), stage(other)
                similarities.append(_similarity(one, other))
        sides = zip(self._weights, zip(*similarities, strict=True), strict=True)
        return 1 - sum(
            ((torch.cat(each, 1) * weights.to(restored)).sum(1) for weights, each in sides),
            start=restored.new_zeros(len(restored)),
        )


def lpips_alex(backbone: Path | None = None) -> LPIPS:
    """LPIPS on AlexNet, the variant that most papers report.

    Args:
        backbone: weights of torchvision's AlexNet, as safetensors or a PyTorch file.

    Raises:
        UserError: the file is missing, or has other weights.
    """
    return LPIPS(alexnet(_read(backbone, "AlexNet", _ALEXNET)), _linear("alex"))


def lpips_vgg(backbone: Path | None = None) -> LPIPS:
    """LPIPS on VGG16; for arguments and errors see :func:`lpips_alex`."""
    return LPIPS(vgg16(_read(backbone, "VGG16", _VGG16)), _linear("vgg"))


def dists(backbone: Path | None = None) -> DISTS:
    """DISTS.

    Args:
        backbone: weights of torchvision's VGG16, as safetensors or a PyTorch file.

    Raises:
        UserError: the file is missing, or has other weights.
    """
    learned = _learned("dists_models/weights.pt")
    stages = vgg16(_read(backbone, "VGG16", _VGG16), pooling=SmoothPooling())
    return DISTS(stages, learned["alpha"], learned["beta"])


def alexnet(weights: Mapping[str, Tensor]) -> Stages:
    """AlexNet's five convolutions, each with its ReLU and what precedes it."""
    channels = ((0, 3, 64), (3, 64, 192), (6, 192, 384), (8, 384, 256), (10, 256, 256))
    sizes = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
    stages = []
    for (place, inputs, outputs), (side, stride, margin) in zip(channels, sizes, strict=True):
        layers: list[nn.Module] = [nn.MaxPool2d(3, 2)] if place in (3, 6) else []
        layer = nn.Conv2d(inputs, outputs, side, stride, margin)
        _fill(layer, place, weights, "AlexNet")
        stages.append(nn.Sequential(*layers, layer, nn.ReLU()))
    return stages


def vgg16(weights: Mapping[str, Tensor], pooling: nn.Module | None = None) -> Stages:
    """VGG16's five groups of convolutions; ``pooling`` stands between them, else by maxima."""
    places = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    stages: list[nn.Module] = []
    inputs = 3
    for group, outputs in zip(places, (64, 128, 256, 512, 512), strict=True):
        layers: list[nn.Module] = [pooling or nn.MaxPool2d(2)] if stages else []
        for place in group:
            layer = nn.Conv2d(inputs, outputs, 3, padding=1)
            _fill(layer, place, weights, "VGG16")
            layers += [layer, nn.ReLU()]
            inputs = outputs
        stages.append(nn.Sequential(*layers))
    return stages


class SmoothPooling(nn.Module):
    """The pooling of DISTS: root of the squares, weighted by a Hann window of 3 x 3."""

    def forward(self, x: Tensor) -> Tensor:
        """Halve the size of (B, C, H, W)."""
        taps = x.new_tensor((0.25, 0.5, 0.25))
        window = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x**2, window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def _similarity(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Similarity of means and of structure of each channel, (B, C) each."""
    means = [each.mean((2, 3)) for each in (one, other)]
    centred = [each - mean[..., None, None] for each, mean in zip((one, other), means, strict=True)]
    covariance = (centred[0] * centred[1]).mean((2, 3))
    variances = [each.square().mean((2, 3)) for each in centred]
    return (
        (2 * means[0] * means[1] + _CONSTANT) / (means[0] ** 2 + means[1] ** 2 + _CONSTANT),
        (2 * covariance + _CONSTANT) / (variances[0] + variances[1] + _CONSTANT),
    )


def _unit(features: Tensor) -> Tensor:
    """Features of length 1 in each pixel."""
    lengths = (features.square().sum(1, keepdim=True) + 1e-8).sqrt()
    return features / lengths


def _fill(layer: nn.Conv2d, place: int, weights: Mapping[str, Tensor], name: str) -> None:
    for part, parameter in (("weight", layer.weight), ("bias", layer.bias)):
        key = f"features.{place}.{part}"
        found = weights.get(key)
        assert parameter is not None
        if found is None or found.shape != parameter.shape:
            what = "is missing" if found is None else f"is {tuple(found.shape)}"
            raise UserError(
                f"backbone: the weights are not those of torchvision's {name}: {key} {what}, "
                f"expected {tuple(parameter.shape)}"
            )
        parameter.data = found.detach().to(parameter.dtype)


def _read(path: Path | None, name: str, url: str) -> Mapping[str, Tensor]:
    if path is None:
        raise UserError(
            f"backbone: set it to a file with the weights of torchvision's {name}, such as {url}"
        )
    path = Path(path).expanduser()
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; download {url}") from None
    except (OSError, SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError):
        raise UserError(f"{path}: is no file of weights; download {url}") from None
    if not isinstance(loaded, Mapping):
        raise UserError(f"{path}: has no weights by name; download {url}")
    return {key: each for key, each in loaded.items() if isinstance(each, Tensor)}


def _learned(name: str) -> Mapping[str, Tensor]:
    path = Path(str(files("torchmetrics.functional.image") / name))
    content: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def _linear(name: str) -> list[Tensor]:
    content = _learned(f"lpips_models/{name}.pth")
    return [content[f"lin{place}.model.1.weight"] for place in range(5)]


def _require_size(frames: Tensor, name: str) -> None:
    height, width = frames.shape[-2:]
    if min(height, width) < 64:
        raise UserError(
            f"frames of {width}x{height} pixels are too small: {name} needs 64x64; leave it out"
        )
