"""Runs that start from a finished, killed or damaged run, or from its weights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from tests.engine.runs import ROOT, SMALL, metrics_of, weights_equal


def test_a_finished_run_resumes_with_a_larger_budget(run):
    run("trainer.max_steps=2", "scheduler=constant", folder="a")
    status, extended = run("trainer.max_steps=6", "scheduler=constant", folder="a")
    _, straight = run("trainer.max_steps=6", "scheduler=constant", folder="b")
    assert status == 0
    assert weights_equal(extended, straight)
    assert [each["step"] for each in metrics_of(extended)["history"]] == [2, 4, 6]


def test_a_finished_run_is_not_trained_again(run, folder):
    before = load_file(folder / "weights.safetensors")
    status, _ = run()
    assert status == 0
    after = load_file(folder / "weights.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert metrics_of(folder)["steps"] == 4


def test_a_run_killed_after_its_last_step_tests_and_keeps_averaged_weights(run):
    budget = ["trainer.max_steps=4", "trainer.val_check_interval=2", "callbacks=ema"]
    _, folder = run(*budget)
    before, scores = load_file(folder / "weights.safetensors"), metrics_of(folder)
    for name in ("weights.safetensors", "metrics.json"):  # what it writes after its test
        (folder / name).unlink()
    status, folder = run(*budget)
    assert status == 0
    after = load_file(folder / "weights.safetensors")
    assert all(torch.equal(before[key], after[key]) for key in before)
    for key in ("val", "test", "history"):
        assert metrics_of(folder)[key] == scores[key]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((), marks=pytest.mark.slow),
        ("callbacks=ema", "trainer.accumulate_grad_batches=2"),
    ],
)
def test_a_killed_run_ends_as_if_nothing_had_happened(extra, run, tmp_path, cache):
    budget = ["trainer.max_steps=24", "trainer.val_check_interval=4", *extra]
    _, straight = run(*budget, folder="straight")
    killed = tmp_path / "killed"
    command = [*SMALL, cache, f"hydra.run.dir={killed}", *budget]
    process = subprocess.Popen(
        [sys.executable, "train.py", *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (killed / "checkpoints" / "step_00000008.ckpt").exists():
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.1)  # a few steps on: while it trains, validates or saves
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "weights.safetensors").exists()
    status, resumed = run(*budget, folder="killed")
    assert status == 0
    assert weights_equal(resumed, straight)
    assert metrics_of(resumed)["test"] == metrics_of(straight)["test"]
    assert metrics_of(resumed)["history"] == metrics_of(straight)["history"]


def test_a_truncated_newest_checkpoint_costs_some_steps_only(run, tmp_path):
    _, straight = run(folder="straight")
    folder = shutil.copytree(straight, tmp_path / "run")
    newest = folder / "checkpoints" / "step_00000004.ckpt"
    newest.write_bytes(newest.read_bytes()[:1000])
    (folder / "weights.safetensors").unlink()
    status, _ = run()
    assert status == 0
    assert weights_equal(folder, straight)
    assert "step_00000004.ckpt is corrupt" in (folder / "train.log").read_text()


def test_start_from_weights(run):
    _, flow = run("task=flow", folder="flow")
    file = flow / "weights.safetensors"
    still = ["optimizer.lr=0", "optimizer.weight_decay=0"]
    _, whole = run(f"init.network={file}", *still, folder="whole")
    assert weights_equal(flow, whole)
    _, started = run(f"init.flow={file}", "seed=7", *still, folder="flow-only")
    one, two = (load_file(each / "weights.safetensors") for each in (flow, started))
    same = {key for key in one if torch.equal(one[key], two[key]) and one[key].abs().sum() > 0}
    assert {key for key in one if key.startswith("flow_subnet") and "bias" not in key} <= same
    assert "deblurring_subnet.d_conv2.weight" not in same
