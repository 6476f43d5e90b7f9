from __future__ import annotations

import numpy as np
import pytest
import torch

from flowdeblur.blur.light import ResponseCurve
from flowdeblur.errors import UserError

VALUES = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)


def write_curve(path, curve):
    np.savetxt(path, curve)
    return path


def measured(tmp_path):
    x = np.arange(256)
    curves = [3 * x**1.5, np.expm1(x / 60), x + x**2 / 99]
    return ResponseCurve.read(write_curve(tmp_path / "curve.txt", np.stack(curves, -1)))


def test_gamma():
    light = ResponseCurve.gamma().to_light(VALUES)
    assert light.shape == (3, 16, 16)
    assert np.allclose(light.numpy().transpose(1, 2, 0), (VALUES / 255.0) ** 2.2, atol=1e-6)


def test_values_are_rounded_and_saturated_as_values():
    light = np.random.default_rng(0).uniform(-0.2, 1.3, (3, 40, 50))
    expected = np.round(255 * np.clip(light, 0, 1) ** (1 / 2.2)).transpose(1, 2, 0)
    found = ResponseCurve.gamma().to_values(torch.from_numpy(light).float())
    assert (found != expected).mean() < 1e-3  # float32 beside float64, at the very thresholds
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("make", [lambda _: ResponseCurve.gamma(), measured])
def test_every_value_comes_back(make, tmp_path):
    curve = make(tmp_path)
    assert np.array_equal(curve.to_values(curve.to_light(VALUES)), VALUES)


def test_a_measured_curve_is_that_of_each_channel(tmp_path):
    light = measured(tmp_path).to_light(VALUES).numpy().reshape(3, 256)
    x = np.arange(256)
    curves = np.stack([3 * x**1.5, np.expm1(x / 60), x + x**2 / 99])
    assert np.allclose(light, curves / curves.max(), atol=1e-6)  # in units of the brightest channel


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n" * 256, r"has 256 lines of 2 numbers; a response curve has 256 lines"),
        ("1\n2\n", r"has 2 lines of 1 numbers"),
        ("light\n" * 256, r"is not a table of numbers"),
        ("\n".join(map(str, [0, *range(255)])), r"light must rise from line to line"),
        ("\n".join(map(str, range(-1, 255))), r"not be below 0"),
        ("\n".join(["nan", *map(str, range(255))]), r"light must rise"),
    ],
)
def test_files_that_are_no_curve(tmp_path, text, message):
    path = tmp_path / "curve.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"curve.txt: .*{message}"):
        ResponseCurve.read(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nothing.txt: cannot be read"):
        ResponseCurve.read(tmp_path / "nothing.txt")
