"""Whole runs, on tiny data."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from tests.composition import PEERS, ROWS
from tests.engine.runs import SMALL, metrics_of, weights_equal

import flowdeblur
from flowdeblur.cli import main


@pytest.mark.parametrize("override", [f"ablation={row}" for row in ROWS] + ["task=flow"])
def test_every_row_and_task_runs(override, run, capsys):
    status, folder = run(override)
    assert status == 0
    metrics = metrics_of(folder)
    assert metrics["steps"] == 4
    assert [each["step"] for each in metrics["history"]] == [2, 4]
    assert (folder / "checkpoints" / "step_00000004.ckpt").exists()
    image = np.asarray(Image.open(folder / "images" / "test.png"))
    assert image.std() > 10
    printed = capsys.readouterr().out
    assert str(folder) in printed
    network = flowdeblur.load(folder / "weights.safetensors")
    assert sum(each.numel() for each in network.parameters()) == metrics["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svrnn", "nafnet", "dbn", "srn", "nah", "estrnn", "ovd"])
def test_every_published_recipe_runs(name, run):
    status, folder = run(f"experiment={name}")
    assert status == 0
    metrics = metrics_of(folder)
    assert metrics["steps"] == 4
    assert metrics["test"]["psnr"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
def test_every_peer_runs_under_the_common_recipe(name, run):
    status, folder = run("experiment=common", f"model={name}")
    assert status == 0
    assert metrics_of(folder)["steps"] == 4


def test_a_model_is_chosen_by_name(run):
    status, folder = run("model=small", "trainer.max_steps=1", "trainer.val_check_interval=1")
    assert status == 0
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["width"] == 4


def test_plateau_reads_the_score_of_every_validation(run):
    """No score is better by 100 dB than the one before: each halves the rate but the first."""
    status, folder = run(
        *("scheduler=plateau", "scheduler.patience=0", "+scheduler.threshold=100"),
        *("+scheduler.threshold_mode=abs", "optimizer.lr=1e-3", "trainer.max_steps=8"),
        "trainer.val_check_interval=2",
    )
    assert status == 0
    with (folder / "csv" / "version_0" / "metrics.csv").open() as file:
        rates = [float(each) for row in csv.DictReader(file) if (each := row["lr-AdamW"])]
    assert rates == [1e-3] * 4 + [5e-4] * 2 + [2.5e-4] * 2


@pytest.mark.parametrize("part", ["network", "flow"])
def test_weights_of_a_narrower_network_are_widened(run, finished, part):
    """At the width of the file and at another one, without learning: the same scores."""
    start = f"init.{part}={finished.folder / 'weights.safetensors'}"
    scores = []
    for width in (4, 6):
        status, folder = run(
            start, "optimizer.lr=0", f"model.width={width}", folder=f"width{width}"
        )
        assert status == 0
        scores.append(metrics_of(folder)["test"])
    for name in ("psnr", "ssim", "epe") if part == "network" else ("epe",):
        assert scores[1][name] == pytest.approx(scores[0][name], rel=1e-4), name


def test_mixed_precision_clips_and_scores_as_float32_does(run, finished):
    """The same weights, scored in both; the gradients are clipped with a fused optimiser."""
    start = f"init.network={finished.folder / 'weights.safetensors'}"
    still = "optimizer.lr=0"
    status, float32 = run(start, still, folder="float32")
    assert status == 0
    status, mixed = run(
        start, still, "trainer.precision=bf16-mixed", "callbacks=ema", folder="mixed"
    )
    assert status == 0
    one, other = (metrics_of(each)["test"] for each in (float32, mixed))
    assert other["psnr_blurry"] == one["psnr_blurry"]
    assert other["ssim_blurry"] == one["ssim_blurry"]
    assert other["psnr"] == pytest.approx(one["psnr"], abs=0.05)
    assert other["ssim"] == pytest.approx(one["ssim"], abs=0.005)
    reported = flowdeblur.weights.describe(mixed / "weights.safetensors")["training"]
    assert reported["steps"] == 4
    assert "cache" not in reported["data"]


def test_what_a_run_folder_holds(finished):
    folder, printed = finished.folder, finished.printed
    present = {each.name for each in folder.iterdir()}
    assert {
        "config.yaml", "metrics.json", "weights.safetensors", "train.log",
        "checkpoints", "images", "csv", "tensorboard",
    } <= present  # fmt: skip
    scores = metrics_of(folder)["test"]
    assert {"psnr", "psnr_blurry", "psnr_same_frame", "ssim", "ssim_blurry", "epe"} <= scores.keys()
    assert {"epe_of_zero", "epe_of_dis"} <= scores.keys()
    assert not metrics_of(folder)["health"]["dead"]
    assert f"{scores['psnr']:.2f}" in printed
    assert f"{scores['psnr_blurry']:.2f}" in printed
    rows = list(csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open()))
    assert any(row.get("train/gradient_norm") for row in rows)
    assert any(row.get("train/saturation") for row in rows)
    assert any(row.get("val/rnn_weight_extreme") for row in rows)
    assert "step 4/4" in (folder / "train.log").read_text()


def test_wandb_offline(run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    status, folder = run("logger=wandb")
    assert status == 0
    (offline,) = (folder / "wandb").glob("offline-run-*")
    assert offline.name.endswith(f"-{folder.name}")  # its id is the run folder's name
    assert next(offline.glob("run-*.wandb")).stat().st_size > 1000
    assert list(offline.glob("files/media/images/**/*.png"))


def test_same_seed_same_run_other_seed_other_run(run, finished):
    first, (_, second), (_, other) = finished.folder, run(), run("seed=1", folder="other")
    assert weights_equal(first, second)
    assert not weights_equal(first, other)
    assert metrics_of(first)["test"] == metrics_of(second)["test"]


def test_flow_training_changes_only_the_flow_subnet(run):
    _, before = run("task=flow", "trainer.max_steps=1", "optimizer.lr=0", folder="a")
    _, after = run("task=flow", "trainer.max_steps=2", folder="b")
    one, two = (load_file(each / "weights.safetensors") for each in (before, after))
    changed = {key for key in one if not torch.equal(one[key], two[key])}
    assert changed
    assert all(key.startswith("flow_subnet") for key in changed)


def error_of(capsys) -> str:
    captured = capsys.readouterr().err
    assert "Traceback" not in captured
    lines = [line for line in captured.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle=proposed", "modle: no such key; did you mean model?"),
        ("model=bidirectinal", "model=bidirectinal: no such option; did you mean bidirectional?"),
        ("trainer.max_stpes=3", "trainer.max_stpes: no such key; did you mean max_steps"),
        ("trainer.max_steps=abc", "trainer.max_steps: expected int, got 'abc'"),
        ("optimizer.lr=high", "optimizer.lr: expected"),
        ("trainer.accelerator=tpux", "trainer: You selected an invalid accelerator name"),
        ("callbacks.newest.mode=maxx", "callbacks.newest"),
        ("seed=one", "seed: expected int from 0 to 2**32 - 1, got 'one'"),
        ("seed=-1", "seed: expected int from 0 to 2**32 - 1, got -1"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches: must be above 0"),
        ("trainer.limit_test_batches=0", "trainer.limit_test_batches: must be above 0"),
        ("+foo=1", "foo: no such key"),
        ("+data.foo=1", "data.foo: DataModule takes no such argument"),
        ("model.width=5", "model: width must be even"),
        ("a b", "a b: not a valid override"),
        ("data.patch=[4096,4096]", "data.patch is 4096x4096 pixels, but scenes-train"),
        (
            "data.batch_size=3 trainer.accumulate_grad_batches=2",
            "data.batch_size=3 cannot be shared",
        ),
        ("task=flow model=without_rnns", "task=flow: this model predicts no flow"),
        ("init.network=nowhere.safetensors", "init.network: nowhere.safetensors: no such"),
        ("data=dvd data.root=/nowhere", "data.root=/nowhere: no such folder"),
        ("data=dvd", "data.root"),
        ("trainer.max_time=1", "trainer.max_time: no such key; it is an argument that the config"),
        (
            "trainer.devices=2",
            "trainer.devices=2: several processes need a strategy; add trainer=d",
        ),
        (
            "+callbacks.swa._target_=lightning.pytorch.callbacks.StochasticWeightAveraging "
            "+callbacks.swa.swa_lrs=0.1",
            "SWA with `swa_epoch_start` as a float is not supported",
        ),
        ("+ablation.model.width=2", "ablation: its file changes nothing without '# @package"),
        ("data.batch_size=0", "data.batch_size: must be 1 to 1e+06, got 0"),
        ("optimizer.lr=nan", "optimizer.lr: must be a finite number, got nan"),
    ],
)
def test_mistakes_get_one_line(override, message, tmp_path, cache, capsys):
    tiny = [] if override.startswith("data=") else [*SMALL, cache]
    overrides = [override] if override == "a b" else override.split()
    status = main(["train", *tiny, f"hydra.run.dir={tmp_path / 'run'}", *overrides])
    assert status == 2
    assert message in error_of(capsys)
    if not (tmp_path / "run" / "config.yaml").exists():  # the run had not begun
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("overrides", [["logger=[]"], ["logger.csv=null"], ["~callbacks"]])
def test_a_run_may_have_no_logger_and_no_callbacks(overrides, run):
    status, folder = run(*overrides)
    assert status == 0
    assert metrics_of(folder)["steps"] == 4


def test_a_missing_logger_is_reported(run, monkeypatch, capsys):
    from lightning.fabric.loggers import tensorboard

    monkeypatch.setattr(tensorboard, "_TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr(tensorboard, "_TENSORBOARDX_AVAILABLE", False)
    assert run("logger=tensorboard")[0] == 2
    assert error_of(capsys).startswith("error: logger.tensorboard")


def test_a_device_without_kernels_is_not_chosen(run, monkeypatch):
    from lightning.pytorch.accelerators import MPSAccelerator

    monkeypatch.setattr(MPSAccelerator, "is_available", staticmethod(lambda: True))
    status, folder = run("trainer.accelerator=auto", "trainer.max_steps=2")
    assert status == 0
    assert "(mps)" not in metrics_of(folder)["device"]


def test_a_run_folder_of_another_run_is_refused(run, folder, capsys):
    weights = (folder / "weights.safetensors").read_bytes()
    capsys.readouterr()
    status, _ = run("seed=5")
    assert status == 2
    assert "holds a run with seed=0, not 5" in error_of(capsys)
    assert (folder / "weights.safetensors").read_bytes() == weights


def test_multirun_with_several_devices_is_refused(tmp_path, cache, capsys):
    status = main(
        ["train", "-m", *SMALL, cache, "seed=0,1", "trainer.devices=2",
         f"hydra.sweep.dir={tmp_path}"]
    )  # fmt: skip
    assert status == 2
    assert "trainer.devices: a multirun" in error_of(capsys)


def test_multirun_on_one_device(tmp_path, cache):
    status = main(
        ["train", "-m", *SMALL, cache, "seed=0,1", "trainer.max_steps=1",
         "trainer.val_check_interval=1", f"hydra.sweep.dir={tmp_path}"]
    )  # fmt: skip
    assert status == 0
    first, second = (tmp_path / f"{tmp_path.name}-{job}" for job in range(2))
    assert not weights_equal(first, second)


def test_divergence_stops_with_step_and_sample(run, capsys):
    status, folder = run(
        "optimizer.lr=1e30", "scheduler=constant", "trainer.gradient_clip_val=null"
    )
    assert status == 1
    message = error_of(capsys)
    assert "step 1" in message
    assert "scenes-train-" in message
    assert not (folder / "weights.safetensors").exists()


def test_flow_first(run):
    """The first steps change only the flow subnet, where there is a flow to learn."""
    budget = ("trainer.max_steps=2", "scheduler=constant")
    still = ("optimizer.lr=0", "optimizer.weight_decay=0")
    _, start = run(*budget, *still, folder="start")

    def changed(*overrides, since=start):
        _, folder = run(*budget, *overrides, folder=f"after-{len(overrides)}-{overrides[0][-1]}")
        one, two = (load_file(each / "weights.safetensors") for each in (since, folder))
        return {key.partition(".")[0] for key in one if not torch.equal(one[key], two[key])}

    assert changed("task.flow_first=2") == {"flow_subnet"}
    assert changed("task.flow_first=1") == {"flow_subnet", "deblurring_subnet"}
    no_flow_loss = ("objective.end_point=null", "objective.warping=null")
    assert changed("task.flow_first=2", *no_flow_loss) == {"flow_subnet", "deblurring_subnet"}
