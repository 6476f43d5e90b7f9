"""The command, with real runs on tiny data."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.composition import ROWS, compose_config

from flowdeblur.cli import main
from flowdeblur.engine.assembly import make_data, make_network
from flowdeblur.engine.configuration import plain

ROOT = Path(__file__).parents[2]
TABLE4 = str(ROOT / "sweeps" / "table4.yaml")
TINY = [
    "debug=fast",
    "model.width=4",
    "data.train.count=6",
    "data.val.count=2",
    "data.test.count=6",
    "data.train.size=[80,96]",
    "trainer.accelerator=cpu",
    "trainer.limit_test_batches=1.0",
]
WITHOUT_FLOW_LOSS = ["objective.warping=null", "objective.end_point=null"]


@pytest.fixture
def ablate(tmp_path, cache):
    def run(what, *arguments, runs="runs", tiny=TINY):
        return main(
            ["ablate", what, TABLE4, "--runs", str(tmp_path / runs), *tiny, cache, *arguments]
        )

    return run


def error_of(capsys):
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each]
    return line


def results(folder):
    """All that a run has found out, each number on a line; how long that took is left out."""
    metrics = json.loads((folder / "metrics.json").read_text())
    kept = {key: metrics[key] for key in ("steps", "parameters", "val", "test", "history")}
    return [*json.dumps(kept, indent=1).splitlines(), (folder / "frames.csv").read_text()]


def children(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(each) for each in listed.stdout.split()]


def test_a_number_in_the_place_of_an_option_is_refused(ablate, capsys):
    assert ablate("run", "model=7", "--dry-run") == 2
    assert "model=7" in error_of(capsys)
    assert main(["train", "model=7", "--cfg", "job"]) == 2
    assert "model=7" in error_of(capsys)


@pytest.mark.slow
def test_a_sweep_killed_twice_ends_with_the_same_numbers(ablate, tmp_path, cache, capsys):
    rows = ["ablation=ours,without_flow", "seed=0", "trainer.max_steps=16"]
    budget = [*rows, "trainer.val_check_interval=3", "--jobs", "2"]
    assert ablate("run", *budget, runs="straight") == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "flowdeblur", "ablate", "run", TABLE4, "--runs", str(killed)]
    for step, sign in ((3, signal.SIGKILL), (9, signal.SIGTERM)):
        runner = subprocess.Popen([*command, *TINY, cache, *budget], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        newest = 0
        while newest < step:
            assert runner.poll() is None, "ended before it could be killed"
            assert time.monotonic() < deadline
            steps = [int(each.stem[5:13]) for each in killed.glob("*/checkpoints/step_*.ckpt")]
            newest = max(steps, default=0)
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.3))
        if sign == signal.SIGKILL:  # as when the machine goes down: the runs as well
            for pid in children(runner.pid):
                os.kill(pid, signal.SIGKILL)
        runner.send_signal(sign)
        assert runner.wait(60) != 0
    capsys.readouterr()
    assert ablate("run", *budget, runs="killed") == 0
    for name in ("ours-seed0", "without_flow-seed0"):
        assert results(killed / name) == results(tmp_path / "straight" / name)
    # What is done is not begun again.
    started = (killed / "ours-seed0" / "console.log").read_text().count("$ ")
    assert ablate("run", *budget, runs="killed") == 0
    assert (killed / "ours-seed0" / "console.log").read_text().count("$ ") == started


@pytest.fixture
def train(tmp_path, cache):
    def run(*overrides, folder="run"):
        return main(["train", *TINY, cache, f"hydra.run.dir={tmp_path / folder}", *overrides])

    return run


def test_a_run_leaves_the_scores_of_every_frame_and_its_costs(train, tmp_path):
    assert train() == 0
    with (tmp_path / "run" / "frames.csv").open() as file:
        frames = list(csv.DictReader(file))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert len(frames) == len({each["key"] for each in frames}) == 6
    for name in ("psnr", "ssim", "psnr_blurry", "psnr_same_frame", "epe", "motion_px"):
        mean = sum(float(each[name]) for each in frames) / len(frames)
        assert mean == pytest.approx(metrics["test"][name], rel=1e-5)
    assert {each.name for each in (tmp_path / "run" / "images" / "test").iterdir()} == {
        f"{frame}_{what}.png"
        for frame in range(2)
        for what in ("blurry", "restored", "sharp", "predicted_flow", "true_flow")
    }
    assert metrics["cost"]["size"] == [80, 96]
    assert metrics["cost"]["gflop"] > 0
    assert metrics["cost"]["milliseconds"] > 0


def test_max_minutes_stops_at_a_checkpoint_and_the_same_command_resumes(train, tmp_path, capsys):
    assert train(folder="straight") == 0
    for step in (1, 2, 3):  # the first step exceeds no time at all
        capsys.readouterr()
        assert train("max_minutes=0", folder="stopped") == 0
        assert f"stopped by max_minutes=0 at step {step} of 4" in capsys.readouterr().out
        assert not (tmp_path / "stopped" / "metrics.json").exists()
    assert train("max_minutes=0", folder="stopped") == 0
    straight, stopped = (
        json.loads((tmp_path / each / "metrics.json").read_text())
        for each in ("straight", "stopped")
    )
    for key in ("steps", "val", "test"):
        assert stopped[key] == straight[key]
    # A run that stops is validated there, too.
    history = {each["step"]: each for each in stopped["history"]}
    assert [history[each["step"]] for each in straight["history"]] == straight["history"]


def test_budget_minutes_end_a_run_with_its_scores(train, tmp_path):
    assert train("budget_minutes=0", folder="timed") == 0
    metrics = json.loads((tmp_path / "timed" / "metrics.json").read_text())
    assert metrics["steps"] == 1  # the first step exceeds no time at all
    assert metrics["test"]["psnr"] > 0
    progress = json.loads((tmp_path / "timed" / "progress.json").read_text())
    assert (progress["step"], progress["max_steps"]) == (1, 4)


def test_a_row_of_the_users_own(ablate, tmp_path, capsys):
    own = tmp_path / "mine"
    (own / "ablation").mkdir(parents=True)
    (own / "ablation" / "narrow.yaml").write_text(
        "# @package _global_\nmodel: {width: 2}\nrow: {label: Narrow}\n"
    )
    arguments = ["ablation=ours,narrow", "seed=0", "--config-dir", str(own), "--dry-run"]
    assert ablate("run", *arguments, tiny=[]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(f"--config-dir {own}" in line for line in lines)
    assert ablate("run", *arguments, "model.width=4", tiny=[]) == 2
    assert error_of(capsys).startswith("error: ablation=narrow: model.width is 4, but the row")


@pytest.mark.parametrize("name", ROWS)
def test_every_row_sees_the_same_samples_in_the_same_order(name, cache):
    """Also the same patches, turned and recoloured alike; rows differ only in the neighbours."""
    ours, row = (first_batches(f"ablation={each}", cache) for each in ("ours", name))
    assert [batch["key"] for batch in row] == [batch["key"] for batch in ours]
    for one, other in zip(ours, row, strict=True):
        assert torch.equal(one["sharp"], other["sharp"])
        assert torch.equal(one["current"], other["current"])


def first_batches(*overrides):
    settings = plain(compose_config(*TINY, *overrides))
    network = make_network(settings)
    data = make_data(settings, network)
    data.trainer = SimpleNamespace(
        accumulate_grad_batches=1, world_size=1, global_rank=0, global_step=0, max_steps=5
    )
    current = network.frame_offsets.index(0)
    return [{**batch, "current": batch["frames"][:, current]} for batch in data.train_dataloader()]


def test_dry_run_prints_what_would_be_started(ablate, tmp_path, capsys):
    assert ablate("run", "--dry-run", "--shard", "2/7") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("hydra.run.dir=")[1] for line in lines] == [
        f"{tmp_path}/runs/concat_rnn_weights-seed{seed}" for seed in range(3)
    ]
    assert all("ablation=concat_rnn_weights" in line for line in lines)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modle=x"], "error: modle: no such key; did you mean model?"),
        (["ablation=ors"], "error: ablation=ors: no such option; did you mean ours?"),
        (["--jbos", "2"], "error: --jbos: no such option"),
        (["seed"], "error: seed: no such option; overrides are written KEY=VALUE"),
        (["--shard", "9/3"], "error: --shard 9/3: write I/N"),
        (["--slurm", "--shard", "1/3"], "error: --shard: an array of --slurm has one task for"),
        (["--slurm", "--jobs", "2"], "error: --jobs: an array of --slurm has one task for"),
        (["--slurm", "--launcher", "srun"], "error: --launcher: an array of --slurm has one"),
        (["max_minutes=soon"], "error: max_minutes: expected a number, got 'soon'"),
    ],
)
def test_mistakes_are_reported_before_anything_starts(arguments, message, ablate, tmp_path, capsys):
    assert ablate("run", *arguments) == 2
    assert error_of(capsys).startswith(message)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["ablation=ours", "model.frame_offsets=[0]"],
            "error: ablation=ours: model.frame_offsets is [0], but the row declares [0, 1]",
        ),
        (
            ["ablation=without_flow_losses", "objective.warping={}"],
            "error: ablation=without_flow_losses: objective.warping is {}, but the row declares",
        ),
        (
            ["ablation=ours,without_flow_losses", *WITHOUT_FLOW_LOSS],
            "error: ours and without_flow_losses are the same configuration",
        ),
    ],
)
def test_a_row_is_what_it_declares_and_no_other(arguments, message, tmp_path, capsys):
    command = ["ablate", "run", TABLE4, "--runs", str(tmp_path / "runs"), "seed=0", *arguments]
    assert main(command) == 2
    assert error_of(capsys).startswith(message)
    assert not (tmp_path / "runs").exists()


def test_status(ablate, tmp_path, capsys):
    folder = tmp_path / "runs" / "without_rnns-seed0"
    folder.mkdir(parents=True)
    metrics = {"steps": 4, "seconds": 120, "test": {"psnr": 30.123}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert ablate("status", "ablation=without_rnns,ours", "seed=0") == 0
    printed = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in printed] == [
        "table4: 1 done, 1 waiting",
        "without_rnns-seed0 done, test PSNR 30.12 dB, trained for 2 min",
        "ours-seed0 waiting",
    ]


def test_a_table_of_a_search_that_has_not_begun(tmp_path, capsys):
    search = str(ROOT / "sweeps" / "learning_rate.yaml")
    assert main(["ablate", "table", search, "--runs", str(tmp_path / "runs")]) == 2
    assert error_of(capsys).startswith("error: Learning rate: no runs found")


def test_a_launcher_that_is_not_there(ablate, tmp_path, capsys):
    assert ablate("run", "ablation=ours", "seed=0", "--launcher", "srnu --exact") == 2
    assert error_of(capsys).startswith("error: --launcher srnu: no such program on this machine")
    assert not (tmp_path / "runs").exists()


def test_status_and_table_need_no_torch(tmp_path):
    code = (
        "import sys; from flowdeblur.cli import main\n"
        f"assert main(['ablate', 'status', {TABLE4!r}]) == 0\n"
        f"assert main(['ablate', 'table', {TABLE4!r}, '--out', 'table.html']) == 0\n"
        "assert not {'torch', 'lightning', 'av', 'wandb', 'optuna'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert "missing" in (tmp_path / "table.html").read_text()
