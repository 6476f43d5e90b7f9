"""Checkpoints written under the published names; each test names them from the layer tables."""

from __future__ import annotations

import pickle

import pytest
import torch

import flowdeblur
from flowdeblur.cli import main
from flowdeblur.networks import ESTRNN, DeblurGAN, NAFNet


def nafnet():
    options = {"encoder_blocks": (1, 2), "middle_blocks": 1, "decoder_blocks": (1, 1)}
    return NAFNet(width=4, **options)


def estrnn_names(prefix):
    """Published name -> ours, written out block by block."""
    names = {"cell.F_B0": "cell.features.0"}
    blocks = {"cell.F_B1.rdb": "cell.features.1", "cell.F_B2.rdb": "cell.features.3"}
    names |= {f"cell.F_B{i}.down_sampling": f"cell.features.{2 * i}" for i in (1, 2)}
    blocks |= {f"cell.F_R.RDBs.{i}": f"cell.body.{i}" for i in range(11)}
    names |= {"cell.F_R.conv1x1": "cell.body_fusion.0", "cell.F_R.conv3x3": "cell.body_fusion.1"}
    names |= {"cell.F_h.0": "cell.state.0", "cell.F_h.2": "cell.state.2"}
    blocks["cell.F_h.1"] = "cell.state.1"
    for theirs, ours in blocks.items():
        names |= {f"{theirs}.dense_layers.{i}.conv": f"{ours}.convs.{i}" for i in range(3)}
        names[f"{theirs}.conv1x1"] = f"{ours}.last"
    names |= {f"recons.model.{i}": f"upsampling.{i}" for i in range(3)}
    names |= {f"fusion.F_f.{i}": f"fusion.attention.{i}" for i in (0, 2)}
    names |= {f"fusion.F_p.{i}": f"fusion.mixing.{i}" for i in (0, 1)}
    names |= {"fusion.condense": "fusion.condense", "fusion.fusion": "fusion.last"}
    return {prefix + theirs: ours for theirs, ours in names.items()}


def deblurgan_names():
    names = {"model.1": "model.0", "model.4": "model.3", "model.7": "model.6"}
    for block in range(9):
        for theirs, ours in ((1, 0), (6, 4)):
            names[f"model.{10 + block}.conv_block.{theirs}"] = f"model.{9 + block}.body.{ours}"
    return names | {"model.19": "model.18", "model.22": "model.21", "model.26": "model.24"}


def renamed(network, names):
    state = network.state_dict()
    return {
        f"{theirs}.{kind}": state[f"{ours}.{kind}"]
        for theirs, ours in names.items()
        for kind in ("weight", "bias")
    }


def imported(content, folder, capsys):
    checkpoint, out = folder / "published.pth", folder / "ours.safetensors"
    torch.save(content, checkpoint)
    assert main(["import", str(checkpoint), str(out)]) == 0, capsys.readouterr().err
    return flowdeblur.load(out)


def outputs(*networks):
    frames = torch.rand(1, len(networks[0].frame_offsets), 3, 16, 16)
    with torch.inference_mode():
        return [network.eval()(frames).restored for network in networks]


@pytest.mark.parametrize("wrapper", ["params", "state_dict", None])
def test_nafnet(tmp_path, capsys, wrapper):
    network = nafnet()
    for value in network.parameters():
        torch.nn.init.normal_(value, 0, 0.1)
    state = network.state_dict()
    loaded = imported({wrapper: state} if wrapper else state, tmp_path, capsys)
    assert "(published weights of NAFNet)" in capsys.readouterr().out
    assert torch.equal(*outputs(network, loaded))


@pytest.mark.parametrize("prefix", ["", "module.model."])
def test_estrnn_reads_and_writes_rgb_here(tmp_path, capsys, prefix):
    network = ESTRNN(width=4, blocks=11)
    content = {"state_dict": renamed(network, estrnn_names(prefix)), "epoch": 3}
    assert len(content["state_dict"]) == len(network.state_dict())
    loaded = imported(content, tmp_path, capsys)
    frames = torch.rand(1, 7, 3, 16, 16)
    with torch.inference_mode():
        bgr = network.eval()(frames.flip(2)).restored.flip(1)  # as its authors call it
        assert torch.allclose(loaded(frames).restored, bgr, atol=1e-6)


def test_deblurgan(tmp_path, capsys):
    network = DeblurGAN(width=4)
    loaded = imported(renamed(network, deblurgan_names()), tmp_path, capsys)
    assert torch.equal(*outputs(network, loaded))


def changed(**changes):
    state = dict(nafnet().state_dict())
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conv.weight": torch.zeros(1)}, "conv.weight belongs to no known architecture; expected"),
        ({"convlstm.conv.weight": torch.zeros(1)}, "ports of SRN decode the LSTM's cell state"),
        ({"epoch": 3}, "contains no state dict"),
        ([1, 2], "contains no state dict"),
        (changed(intro__weight=None), "intro.weight is missing; expected NAFNet"),
        (changed(ending__bias=None), "ending.bias is missing in the file and 3 in NAFNet"),
        (
            changed(downs__0__weight=torch.zeros(8, 4, 3, 3)),
            "downs.0.weight is 8x4x3x3 in the file and 8x4x2x2 in NAFNet",
        ),
        (
            changed(intro__weight=torch.tensor(1.0)),
            "intro.weight is scalar in the file and 1x3x3x3 in NAFNet",
        ),
        (
            {"model.cell.F_B0.weight": torch.zeros(0, 3, 5, 5)},
            "model.cell.F_B0.weight is 0x3x5x5 in the file and 1x3x5x5 in ESTRNN",
        ),
        (
            {"model.1.weight": torch.tensor(2.0)},
            "model.1.weight is scalar in the file and 1x3x7x7 in DeblurGAN",
        ),
        (changed(more__weight=torch.zeros(2)), "more.weight is 2 in the file and missing in NAF"),
    ],
)
def test_another_architecture_in_one_line(tmp_path, capsys, content, message):
    checkpoint, out = tmp_path / "published.pth", tmp_path / "ours.safetensors"
    torch.save(content, checkpoint)
    assert main(["import", str(checkpoint), str(out)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {checkpoint}: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert not out.exists()


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: torch.save({"state_dict": Evil()}, path), "Python objects, which are not"),
        (lambda path: path.write_bytes(pickle.dumps(Evil())), "not"),
        (lambda path: path.write_bytes(b""), "damaged, or not a PyTorch checkpoint"),
        (lambda path: path.write_bytes(b"PK\x03\x04 cut"), "damaged, or not a PyTorch checkpoint"),
        (lambda path: None, "no such file"),
    ],
)
def test_no_code_is_executed_and_damage_is_reported(tmp_path, capsys, write, message):
    checkpoint = tmp_path / "evil.pth"
    write(checkpoint)
    assert main(["import", str(checkpoint), str(tmp_path / "ours.safetensors")]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
