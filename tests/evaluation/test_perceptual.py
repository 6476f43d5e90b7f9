"""LPIPS and DISTS with random weights: second computations in float64, and torchmetrics' own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torchmetrics.functional.image import dists as their_dists
from torchmetrics.functional.image import lpips as their_lpips

from flowdeblur.cli import main
from flowdeblur.errors import UserError
from flowdeblur.evaluation import perceptual
from flowdeblur.evaluation.perceptual import dists, lpips_alex, lpips_vgg

ALEX = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256)]
VGG += [(14, 256, 256), (17, 256, 512), *((place, 512, 512) for place in (19, 21, 24, 26, 28))]


def random_weights(shapes):
    generator, weights = torch.Generator().manual_seed(0), {}
    for place, (outputs, inputs, side) in shapes.items():
        spread = (2 / (inputs * side * side)) ** 0.5
        shape = (outputs, inputs, side, side)
        weights[f"features.{place}.weight"] = torch.randn(shape, generator=generator) * spread
        weights[f"features.{place}.bias"] = torch.randn(outputs, generator=generator) * 0.05
    return weights


@pytest.fixture(scope="module")
def alex(tmp_path_factory):
    path = tmp_path_factory.mktemp("alex") / "alexnet.pth"
    weights = random_weights(ALEX)
    torch.save({**weights, "classifier.1.bias": torch.zeros(4)}, path)
    return path, weights


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    weights = random_weights({place: (outputs, inputs, 3) for place, inputs, outputs in VGG})
    save_file(weights, path)
    return path, weights


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    sharp = F.interpolate(torch.rand(2, 3, 18, 20, generator=generator), (68, 76), mode="bicubic")
    sharp = sharp.clamp(0, 1)
    return (sharp + 0.1 * torch.randn(sharp.shape, generator=generator)).clamp(0, 1), sharp


def features(x, weights, places, pool, options=None):
    found = []
    for group in places:
        if found:
            x = pool(x)
        for place in group:
            kernel, bias = (weights[f"features.{place}.{n}"].double() for n in ("weight", "bias"))
            stride, margin = (options or {}).get(place, (1, 1))
            x = F.conv2d(x, kernel, bias, stride, margin).relu()
            found += [x] if place == group[-1] or options else []
    return found


def lpips_in_double(pair, features_of, name):
    shift = torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450]).double()[:, None, None]
    one, other = (features_of((each.double() * 2 - 1 - shift) / scale) for each in pair)
    total = 0
    for place, (a, b) in enumerate(zip(one, other, strict=True)):
        linear = perceptual._linear(name)[place].double()
        a, b = (x / (1e-8 + (x**2).sum(1, keepdim=True)) ** 0.5 for x in (a, b))
        total = total + F.conv2d((a - b) ** 2, linear).mean((1, 2, 3))
    return total.tolist()


def test_lpips_is_that_of_a_second_computation(alex, vgg, pair):
    path, weights = alex
    options = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}

    def alexnet(x):
        places = ((0,), (3,), (6, 8, 10))
        return features(x, weights, places, lambda y: F.max_pool2d(y, 3, 2), options)

    expected = lpips_in_double(pair, alexnet, "alex")
    assert len(alexnet(pair[0].double())) == 5
    assert lpips_alex(path)(*pair).tolist() == pytest.approx(expected, rel=1e-5)

    path, weights = vgg
    places = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))

    def vgg16(x):
        return features(x, weights, places, lambda y: F.max_pool2d(y, 2))

    expected = lpips_in_double(pair, vgg16, "vgg")
    assert lpips_vgg(path)(*pair).tolist() == pytest.approx(expected, rel=1e-5)
    assert min(expected) > 0.01


def test_dists_is_that_of_a_second_computation(vgg, pair):
    path, weights = vgg
    places = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))

    def pool(x):
        hann = torch.hann_window(5, periodic=False, dtype=torch.float64)[1:-1]
        window = torch.outer(hann, hann) / hann.sum() ** 2
        patches = F.unfold(F.pad(x, (1, 1, 1, 1)).flatten(0, 1)[:, None] ** 2, 3, stride=2)
        size = [(side + 1) // 2 for side in x.shape[-2:]]
        return (window.flatten() @ patches + 1e-12).sqrt().view(*x.shape[:2], *size)

    mean = torch.tensor([0.485, 0.456, 0.406]).double()[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225]).double()[:, None, None]
    found = [
        [x.double(), *features((x.double() - mean) / deviation, weights, places, pool)]
        for x in pair
    ]
    learned = perceptual._learned("dists_models/weights.pt")
    alpha, beta = (learned[name].double().flatten() for name in ("alpha", "beta"))
    for frame in range(2):
        score, start = 0.0, 0
        for one, other in zip(*found, strict=True):
            a, b = one[frame].flatten(1), other[frame].flatten(1)
            joint = torch.stack(
                [torch.cov(torch.stack(x), correction=0) for x in zip(a, b, strict=True)]
            )
            ma, mb = a.mean(1), b.mean(1)
            first = (2 * ma * mb + 1e-6) / (ma**2 + mb**2 + 1e-6)
            second = (2 * joint[:, 0, 1] + 1e-6) / (joint[:, 0, 0] + joint[:, 1, 1] + 1e-6)
            part = slice(start, start + len(a))
            score, start = score + alpha[part] @ first + beta[part] @ second, start + len(a)
        expected = 1 - score / (alpha.sum() + beta.sum())
        assert dists(path)(*pair)[frame].item() == pytest.approx(expected.item(), rel=1e-5)


def torchvision_features(shapes, pools, weights):
    """Layers in the order of torchvision's ``features``, which torchmetrics asks it for."""
    layers = []
    for place, (outputs, inputs, side, stride, margin) in shapes.items():
        layer = nn.Conv2d(inputs, outputs, side, stride, margin)
        for name in ("weight", "bias"):
            getattr(layer, name).data = weights[f"features.{place}.{name}"]
        layers += [layer, nn.ReLU()]
        if place + 2 in pools:
            layers.append(nn.MaxPool2d(*pools[place + 2]))
    return nn.Sequential(*layers)


def test_lpips_and_dists_are_those_of_torchmetrics(alex, vgg, pair, monkeypatch):
    sizes = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
    net = torchvision_features(
        {place: (*ALEX[place], *sizes[place]) for place in ALEX}, {2: (3, 2), 5: (3, 2)}, alex[1]
    )
    monkeypatch.setattr(their_lpips, "_get_tv_model_features", lambda *_: net)
    theirs = their_lpips._LPIPS(net="alex")(*pair, normalize=True).flatten()
    assert lpips_alex(alex[0])(*pair).tolist() == pytest.approx(theirs.tolist(), rel=1e-5)

    shapes = {place: (outputs, inputs, 3, 1, 1) for place, inputs, outputs in VGG}
    pools = dict.fromkeys((4, 9, 16, 23), (2,))
    net = nn.Module()
    net.features = torchvision_features(shapes, pools, vgg[1])
    monkeypatch.setattr(their_dists, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(their_dists, "vgg16", lambda weights: net, raising=False)
    weights_class = type("Weights", (), {"DEFAULT": None})
    monkeypatch.setattr(their_dists, "VGG16_Weights", weights_class, raising=False)
    theirs = their_dists.deep_image_structure_and_texture_similarity(*pair)
    assert dists(vgg[0])(*pair).tolist() == pytest.approx(theirs.tolist(), rel=1e-4)


def test_equal_frames_have_no_distance_and_frames_are_scored_alone(alex, vgg, pair):
    for metric in (lpips_alex(alex[0]), dists(vgg[0])):
        assert metric(pair[1], pair[1]).tolist() == pytest.approx([0, 0], abs=1e-6)
        one_by_one = [metric(a[None], b[None]).item() for a, b in zip(*pair, strict=True)]
        assert metric(*pair).tolist() == pytest.approx(one_by_one, rel=1e-5)


def test_missing_wrong_and_dangerous_files_are_named(alex, vgg, tmp_path, capsys):
    with pytest.raises(UserError, match=r"AlexNet, such as https.*alexnet-owt"):
        lpips_alex()
    with pytest.raises(UserError, match=r"absent\.pth: no such file; download https.*vgg16"):
        dists(tmp_path / "absent.pth")
    with pytest.raises(UserError, match=r"AlexNet: features\.0\.weight is \(64, 3, 3, 3\)"):
        lpips_alex(vgg[0])
    with pytest.raises(UserError, match=r"VGG16: features\.0\.weight is \(64, 3, 11, 11\)"):
        dists(alex[0])
    text = tmp_path / "text.pth"
    text.write_text("not weights")
    with pytest.raises(UserError, match=r"text\.pth: is no file of weights"):
        lpips_alex(text)
    torch.save({"call": main}, tmp_path / "code.pth")
    with pytest.raises(UserError, match=r"code\.pth: is no file of weights"):
        lpips_alex(tmp_path / "code.pth")
    with pytest.raises(UserError, match="60x70 pixels are too small: LPIPS needs 64x64"):
        lpips_alex(alex[0])(torch.zeros(1, 3, 70, 60), torch.zeros(1, 3, 70, 60))
    out = tmp_path / "out"
    status = main(["evaluate", "weights=default", "metrics=lpips", f"hydra.run.dir={out}"])
    assert status == 2
    assert "backbone: set it to a file with the weights of torchvision's AlexNet" in (
        capsys.readouterr().err
    )
