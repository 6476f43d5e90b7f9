"""Whole evaluations, of a tiny network and of frames in folders."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio
from tests.cli.conftest import CLIPS, make_weights

import flowdeblur
from flowdeblur import weights
from flowdeblur.cli import main
from flowdeblur.video.images import read_image, write_image


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def psnr_of(restored, sharp):
    return peak_signal_noise_ratio(read_image(sharp), read_image(restored))


@pytest.mark.parametrize(
    ("scale", "ensemble"), [("0.5", 1), ("[0.25,0.5]", 1), ("auto", 1), ("1", 4)]
)
def test_lower_scales_and_ensembles_are_scored(evaluate, root, tmp_path, scale, ensemble):
    path = make_weights(tmp_path / "weights.safetensors")
    options = f"scale={scale}", f"ensemble={ensemble}", "deconvolution=true", "save_frames=true"
    status, out, _, _ = evaluate(f"weights={path}", *options)
    assert status == 0
    assert str(metrics_of(out)["scale"]).replace(" ", "") == scale
    assert metrics_of(out)["ensemble"] == ensemble
    frame = read_image(out / "frames" / "a" / "00001.png")
    clip = [read_image(root / "val" / "a" / "blurry" / f"0000{index}.png") for index in (1, 2)]
    setting = scale.strip("[]")
    restored = next(
        flowdeblur.restore(
            clip,
            weights.load(path),
            device="cpu",
            dtype="float32",
            cuts=False,
            scale=setting,
            ensemble=ensemble,
        )
    )
    np.testing.assert_array_equal(frame, restored)


def test_wrong_scales_and_ensembles_are_refused(evaluate, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    status, _, _, error = evaluate(f"weights={path}", "scale=2")
    assert (status, "scale=2: must be auto, a number above 0" in error) == (2, True)
    status, _, _, error = evaluate(f"weights={path}", "ensemble=3")
    assert (status, "ensemble=3: must be one of 1, 2, 4, 8" in error) == (2, True)


def test_deconvolution_is_scored_beside_the_network(evaluate, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    status, out, printed, _ = evaluate(f"weights={path}", "deconvolution=true")
    assert status == 0
    scores = metrics_of(out)["protocols"]["all_frames"]["scores"]
    assert set(scores) == {"blurry", "restored", "deconvolved"}
    assert len({each["psnr"] for each in scores.values()}) == 3
    assert "deconvolved" in printed


def test_no_protocol_is_refused(evaluate, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    status, out, _, error = evaluate(f"weights={path}", "protocols=[]")
    assert (status, "protocols: choose at least one" in error, out.exists()) == (2, True, False)


def test_weights_are_scored_under_several_protocols(evaluate, root, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    status, out, printed, _ = evaluate(
        f"weights={path}", "protocols=[all_frames,paper,vrt]", "same_frame=true", "save_frames=true"
    )
    assert status == 0
    metrics = metrics_of(out)
    assert metrics["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert metrics["split"] == "test"
    assert metrics["data"]["blurry"] == "val/*/blurry"
    keys = [f"{clip}/{frame:05d}" for clip, (count, _) in CLIPS.items() for frame in range(count)]
    scored = metrics["protocols"]
    assert {name: each["frames"] for name, each in scored.items()} == {
        "all_frames": 7,
        "paper": 5,
        "vrt": 7,
    }
    digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    assert scored["all_frames"]["frames_sha256"] == scored["vrt"]["frames_sha256"] == digest
    assert scored["paper"]["settings"]["frames"]["last"] == 1

    # The saved frames are those that were scored.
    sharps = [root / "val" / f"{key.replace('/', '/sharp/')}.png" for key in keys]
    paths = {
        "blurry": [root / "val" / f"{key.replace('/', '/blurry/')}.png" for key in keys],
        "restored": [out / "frames" / f"{key}.png" for key in keys],
    }
    for method in paths:
        each = [psnr_of(path, sharp) for path, sharp in zip(paths[method], sharps, strict=True)]
        assert scored["all_frames"]["scores"][method]["psnr"] == pytest.approx(
            np.mean(each), abs=1e-4
        )
        clips = [np.mean(each[:4]), np.mean(each[4:])]
        assert scored["vrt"]["scores"][method]["psnr"] == pytest.approx(np.mean(clips), abs=1e-4)
        assert scored["vrt"]["clips"]["b"][method]["psnr"] == pytest.approx(clips[1], abs=1e-4)
        without_last = [
            score for key, score in zip(keys, each, strict=True) if key not in (keys[3], keys[6])
        ]
        assert scored["paper"]["scores"][method]["psnr"] == pytest.approx(
            np.mean(without_last), abs=1e-4
        )
    assert set(scored["vrt"]["scores"]) == {"blurry", "restored", "same_frame"}

    # What is printed is what is written.
    for method in ("blurry", "restored", "same_frame"):
        assert f"{scored['paper']['scores'][method]['psnr']:.2f}" in printed
    assert "paper: these are not its test set's 990 frames" in printed
    assert "vrt:" not in printed
    rows = list(csv.DictReader((out / "frames.csv").open()))
    assert len(rows) == (7 + 5 + 7) * 3
    wanted = ("vrt", "restored", "b")
    vrt = [
        float(row["psnr_y"])
        for row in rows
        if (row["protocol"], row["method"], row["clip"]) == wanted
    ]
    assert np.mean(vrt) == pytest.approx(
        scored["vrt"]["clips"]["b"]["restored"]["psnr_y"], abs=1e-4
    )
    assert not any(row["psnr_y"] for row in rows if row["protocol"] == "paper")

    # Bins cover all pixels of all frames that were restored.
    bins = metrics["motion"]["bins"]
    assert metrics["motion"]["flow"] == "predicted"
    assert sum(each["share"] for each in bins) == pytest.approx(1)
    assert "motion, px (predicted flow)" in printed


def test_saved_frames_score_as_the_network_did(evaluate, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    protocols = "protocols=[all_frames,paper,cdvd960]"
    changes = ["protocols.cdvd960.frames.first=1", "protocols.cdvd960.frames.last=1"]
    _, ours, _, _ = evaluate(f"weights={path}", protocols, *changes, "save_frames=true")
    status, theirs, printed, _ = evaluate(
        f"predictions={ours / 'frames'}", protocols, *changes, folder="theirs"
    )
    assert status == 0
    for name, scored in metrics_of(theirs)["protocols"].items():
        expected = metrics_of(ours)["protocols"][name]
        assert scored["frames_sha256"] == expected["frames_sha256"]
        for method, scores in scored["scores"].items():
            assert scores == pytest.approx(expected["scores"][method], abs=1e-5)
    assert metrics_of(theirs)["motion"] is None
    assert "motion" not in printed.splitlines()[0]
    assert "weights_sha256" not in metrics_of(theirs)


def test_restoring_from_the_same_frame(evaluate, root, tmp_path):
    path = make_weights(tmp_path / "weights.safetensors")
    _, out, _, _ = evaluate(f"weights={path}", "same_frame=true")
    network = weights.load(path)
    scores = []
    for sharp in sorted((root / "val" / "a" / "sharp").iterdir()):
        blurry = torch.from_numpy(read_image(root / "val" / "a" / "blurry" / sharp.name)).permute(
            2, 0, 1
        )
        with torch.inference_mode():
            restored = network(torch.stack([blurry, blurry])[None].float() / 255).restored[0]
        rounded = restored.clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
        scores.append(
            peak_signal_noise_ratio(
                read_image(sharp).astype(float), rounded.astype(float), data_range=255
            )
        )
    measured = metrics_of(out)["protocols"]["all_frames"]["clips"]["a"]["same_frame"]["psnr"]
    assert measured == pytest.approx(np.mean(scores), abs=1e-3)


def test_a_run_folder_and_true_flow(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    make_weights(tmp_path / "run" / "weights.safetensors", "without_flow")
    status = main(
        ["evaluate", f"weights={tmp_path / 'run'}", "data.test.count=2", "data.train.size=[64,64]",
         "data.train.cache=null", "device=cpu", f"hydra.run.dir={tmp_path / 'out'}"]
    )  # fmt: skip
    assert status == 0
    metrics = metrics_of(tmp_path / "out")
    assert metrics["weights"] == str(tmp_path / "run" / "weights.safetensors")
    assert metrics["motion"]["flow"] == "true"
    assert metrics["protocols"]["all_frames"]["frames"] == 2
    assert "motion, px (true flow)" in capsys.readouterr().out


def test_predictions_equal_to_the_truth(evaluate, root, tmp_path):
    for clip in CLIPS:
        shutil.copytree(root / "val" / clip / "sharp", tmp_path / "perfect" / clip)
    _, out, printed, _ = evaluate(f"predictions={tmp_path / 'perfect'}")
    scores = metrics_of(out)["protocols"]["all_frames"]["scores"]["restored"]
    assert scores == {"psnr": None, "ssim": 1.0}
    assert " inf" in printed


def test_flicker_is_measured_along_the_flow_of_the_sharp_frames(tmp_path, capsys):
    scene = np.random.default_rng(0).integers(0, 200, (25, 30, 3)).repeat(5, 0).repeat(5, 1)
    scene = gaussian_filter(scene.astype(float), (1, 1, 0)).round().astype(np.uint8)
    for frame in range(4):
        sharp = scene[frame : frame + 90, 2 * frame : 2 * frame + 120]
        for folder, image in {
            "val/clip/sharp": sharp,
            "val/clip/blurry": sharp,
            "steady/clip": sharp + 20,
            "flickers/clip": sharp + 20 * (frame % 2),
        }.items():
            path = tmp_path / folder / f"{frame:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, image.astype(np.uint8))
    errors = {}
    for method in ("steady", "flickers"):
        out = tmp_path / f"scores of {method}"
        status = main(
            ["evaluate", f"predictions={tmp_path / method}", "data=frames", "warp_error=true",
             f"data.root={tmp_path}", "data.workers=0", f"hydra.run.dir={out}"]
        )  # fmt: skip
        assert status == 0
        measured = metrics_of(out)["warp_error"]
        assert measured["flow"].startswith("DIS")
        assert measured["pairs"] == 3
        assert measured["visible"] > 0.7
        errors[method] = measured["errors"]
        assert f"{1e3 * measured['errors']['restored']:.3f}" in capsys.readouterr().out
    floor = errors["steady"]["sharp"]
    assert floor < 1e-3
    assert errors["steady"]["restored"] == pytest.approx(floor, rel=1e-3)
    assert errors["flickers"]["restored"] == pytest.approx((20 / 255) ** 2 + floor, rel=0.05)
