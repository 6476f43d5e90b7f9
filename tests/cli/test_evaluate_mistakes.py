"""Mistakes of ``flowdeblur evaluate``, in one line each."""

from __future__ import annotations

import shutil

import torch
from safetensors.torch import save_file
from tests.cli.conftest import CLIPS, make_weights, random_image
from tests.composition import compose_config, make_model

from flowdeblur import weights
from flowdeblur.engine.configuration import plain
from flowdeblur.video.images import write_image


def test_raw_weights_with_a_model(evaluate, tmp_path):
    network = make_model("proposed", width=2)
    path = tmp_path / "raw.safetensors"
    save_file(network.state_dict(), path)
    status, _, _, _ = evaluate(f"weights={path}", "model=proposed", "model.width=2")
    assert status == 0
    status, _, _, error = evaluate(f"weights={path}", folder="other")
    assert (status, "contains no model configuration" in error) == (2, True)


def mistakes(tmp_path, root):
    """Overrides, and what the one line must say."""
    (tmp_path / "text.safetensors").write_text("some words")
    good = make_weights(tmp_path / "good.safetensors")
    single = make_weights(tmp_path / "single.safetensors", "without_flow")
    (tmp_path / "empty").mkdir()
    for clip in CLIPS:
        shutil.copytree(root / "val" / clip / "blurry", tmp_path / "theirs" / clip)
    shutil.copytree(tmp_path / "theirs", tmp_path / "small")
    write_image(tmp_path / "small" / "a" / "00000.png", random_image(0, (24, 40)))
    shutil.copytree(tmp_path / "theirs", tmp_path / "twice")
    shutil.copy(tmp_path / "twice" / "a" / "00001.png", tmp_path / "twice" / "a" / "00001.bmp")
    for frame in (1, 2):
        (tmp_path / "theirs" / "b" / f"{frame:05d}.png").unlink()
    weights_, folder = f"weights={good}", f"predictions={tmp_path}"
    return {
        "neither": ([], "weights: name a weights file or a run folder to restore with, or else"),
        "scale of no network": ([f"{folder}/theirs", "scale=0.5"], "scale: needs a network; leave"),
        "views of no network": ([f"{folder}/theirs", "ensemble=2"], "ensemble: needs a network;"),
        "both": ([weights_, f"{folder}/theirs"], "(one of the two)"),
        "no file": (
            [f"weights={tmp_path}/none.safetensors"],
            "none.safetensors: no such weights file",
        ),
        "unfinished run": (
            [f"weights={tmp_path}/empty"],
            "empty/weights.safetensors: no such weights file",
        ),
        "text": ([f"weights={tmp_path}/text.safetensors"], "truncated, or not a safetensors file"),
        "architecture": (
            [weights_, "model=bidirectional", "model.width=2"],
            "weights of another architecture",
        ),
        "protocol": (
            [weights_, "protocols=[papr]"],
            "protocols=papr: no such option; did you mean paper?",
        ),
        "key": ([weights_, "same_farme=true"], "same_farme: no such key; did you mean same_frame"),
        "key of a protocol": (
            [weights_, "+protocols.all_frames.bordr=3"],
            "protocols.all_frames.bordr: Protocol takes no such argument; did you mean ",
        ),
        "type": ([weights_, "same_frame=perhaps"], "same_frame: expected bool, got 'perhaps'"),
        "split": ([weights_, "split=tset"], "split: expected"),
        "bins": ([weights_, "motion_bins=[2,1]"], "motion_bins=[2, 1]: name edges that ascend"),
        "device": ([weights_, "device=abacus"], "device=abacus: Expected one of"),
        "one frame": ([f"weights={single}", "same_frame=true"], "same_frame: the network of"),
        "same frame of a folder": (
            [f"{folder}/theirs", "same_frame=true"],
            "same_frame: needs a network",
        ),
        "no folder": (
            [f"{folder}/none"],
            "none: no such folder; name the folder of the restored clips",
        ),
        "missing frames": (
            [f"{folder}/theirs"],
            "theirs: 2 of 7 frames are missing, for example b/00001; there are 5, as <clip>",
        ),
        "empty folder": (
            [f"{folder}/empty"],
            "empty: 7 of 7 frames are missing, for example a/00000; there are 0",
        ),
        "size": (
            [f"{folder}/small"],
            "small/a/00000.png: is 40x24 pixels, but the sharp frame is 72x48",
        ),
        "two files of a frame": (
            [f"{folder}/twice"],
            "twice/a/00001.png: 00001.bmp is the same frame",
        ),
        "no frames": (
            [weights_, "protocols=[reds300]"],
            "protocols.reds300: chooses none of the 7 frames in 2 clips",
        ),
        "data": ([weights_, f"data.root={tmp_path}/none"], "none: no such folder"),
    }


def test_mistakes_are_reported_in_one_line_and_leave_nothing(evaluate, root, tmp_path):
    for name, (overrides, line) in mistakes(tmp_path, root).items():
        status, out, printed, error = evaluate(*overrides)
        assert (status, printed) == (2, ""), name
        assert error.startswith("error: "), name
        assert line in error, name
        assert error.count("\n") == 1, name
        assert not out.exists(), name


def test_a_run_s_own_metrics_are_not_replaced(evaluate, tmp_path):
    path = make_weights(tmp_path / "good.safetensors")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text("mine")
    status, out, _, error = evaluate(f"weights={path}", folder="run")
    assert status == 2
    assert error == f"error: {out}: holds a metrics.json already; choose another hydra.run.dir\n"
    assert (out / "metrics.json").read_text() == "mine"
    assert [each.name for each in out.iterdir()] == ["metrics.json"]


def test_weights_that_make_no_numbers_are_a_failure(evaluate, tmp_path):
    network = make_model("proposed", width=2)
    with torch.no_grad():
        next(network.deblurring_subnet.parameters()).fill_(float("nan"))
    path = tmp_path / "nan.safetensors"
    weights.save(path, network, plain(compose_config("model.width=2"))["model"])
    status, out, _, error = evaluate(f"weights={path}", "save_frames=true")
    assert (status, error) == (
        1,
        "error: the network's output is not finite; its weights are damaged\n",
    )
    assert not out.exists()
