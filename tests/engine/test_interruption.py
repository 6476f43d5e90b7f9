"""What stops a run from outside, and what it leaves behind."""

from __future__ import annotations

import functools
import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from tests.engine.runs import ROOT, TINY, largest_difference, metrics_of

from flowdeblur.cli import main
from flowdeblur.engine import cluster
from flowdeblur.errors import UserError
from flowdeblur.runs import RunFolder
from flowdeblur.training.callbacks import InterruptedRunError

BUDGET = ["trainer.max_steps=6", "trainer.val_check_interval=2", "trainer.limit_test_batches=1"]


@pytest.fixture
def run(tmp_path, cache):
    def start(*overrides, folder="run"):
        path = tmp_path / folder
        return main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={path}", *overrides]), path

    return start


@pytest.fixture(scope="module")
def straight(tmp_path_factory, cache):
    """Train the same run without an interruption, once for each choice of overrides."""

    @functools.cache
    def folder_of(*overrides):
        path = tmp_path_factory.mktemp("straight") / "run"
        assert main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={path}", *overrides]) == 0
        return path

    return folder_of


def signal_in(number, **where):
    values = ",".join(f"{key}:{value}" for key, value in where.items())
    return f"+callbacks.signal={{_target_:tests.engine.runs.Signal,number:{int(number)},{values}}}"


# After step 3 nothing else is written; step 4 is validated first, and the run stops after step 5.
@pytest.mark.parametrize(
    ("number", "step", "saved"), [(signal.SIGTERM, 2, 3), (signal.SIGUSR1, 3, 5)]
)
def test_a_signalled_run_saves_and_ends_as_if_nothing_had_happened(
    number, step, saved, run, straight, capsys
):
    extra = ["callbacks=ema", "data.device_batch_size=2"]
    expected = straight(*extra)
    status, folder = run(*extra, signal_in(number, step=step))
    assert status == 128 + number
    assert (
        f"stopped by {number.name} after step {saved}, with a checkpoint" in capsys.readouterr().err
    )
    assert (folder / "checkpoints" / f"step_{saved:08d}-interrupted.ckpt").exists()
    assert not (folder / "metrics.json").exists()
    status, _ = run(*extra)
    assert status == 0
    assert largest_difference(folder, expected) == 0
    for section in ("val", "test", "history"):
        assert metrics_of(folder)[section] == metrics_of(expected)[section]
    assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.parametrize("when", [{"step": 5}, {"validation": 6}])
def test_a_signal_in_the_last_step_is_not_lost(when, run, straight, capsys):
    status, folder = run(signal_in(signal.SIGUSR1, **when))
    assert status == 128 + signal.SIGUSR1
    assert "stopped by SIGUSR1 after step 6, with a checkpoint" in capsys.readouterr().err
    assert run()[0] == 0
    assert largest_difference(folder, straight()) == 0
    assert metrics_of(folder)["history"] == metrics_of(straight())["history"]


def test_a_run_may_resume_with_other_device_batches(run, straight):
    """Fewer batches a step than before: the same samples, the same validations."""
    many, few = "data.device_batch_size=1", "data.device_batch_size=2"
    status, folder = run(many, signal_in(signal.SIGTERM, step=2))
    assert (status, metrics_left(folder)) == (128 + signal.SIGTERM, 3)
    assert run(few)[0] == 0
    expected = straight(few)
    assert largest_difference(folder, expected) < 1e-4
    steps = [each["step"] for each in metrics_of(folder)["history"]]
    assert steps == [each["step"] for each in metrics_of(expected)["history"]] == [2, 4, 6]


def metrics_left(folder):
    """The step of the newest checkpoint."""
    return max(int(each.name[5:13]) for each in (folder / "checkpoints").glob("step_*"))


def test_a_moved_run_keeps_its_best_weights_and_few_checkpoints(run, tmp_path):
    worse = (
        "seed=3",
        "objective=fast",
        "optimizer.lr=0.02",
        "scheduler=constant",
        "task.flow_first=0",
    )
    _, folder = run(*worse, "trainer.max_steps=4")
    folder.rename(tmp_path / "moved")
    _, moved = run(*worse, "trainer.max_steps=6", folder="moved")
    scores = {each["step"]: each["val/psnr"] for each in metrics_of(moved)["history"]}
    assert max(scores, key=scores.__getitem__) == 2
    best = torch.load(moved / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] == 2
    run(*worse, "trainer.max_steps=10", folder="moved")
    left = {each.name for each in (moved / "checkpoints").iterdir()}
    assert left == {"best.ckpt", "step_00000008.ckpt", "step_00000010.ckpt"}


def test_a_signal_in_the_test_loses_nothing(run, capsys):
    status, folder = run(signal_in(signal.SIGTERM, test=True))
    assert status == 128 + signal.SIGTERM
    assert "stopped by SIGTERM outside of training" in capsys.readouterr().err
    status, _ = run()
    assert status == 0
    assert metrics_of(folder)["steps"] == 6


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The variables of a task of SLURM's, and a scontrol that notes what it is asked for."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("srun", "scontrol"):
        (binaries / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n')
        (binaries / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    for name, value in {
        "JOB_ID": "1234", "JOB_NAME": "train", "NTASKS": "1", "NTASKS_PER_NODE": "1", "PROCID": "0",
        "LOCALID": "0", "NODEID": "0", "NNODES": "1", "NODELIST": "localhost",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SLURM_{name}", value)
    waited = []
    monkeypatch.setattr(cluster.time, "sleep", waited.append)
    yield lambda: (tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else ""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "array", "asked"),
    [
        (signal.SIGUSR1, {}, "scontrol requeue 1234\n"),
        (
            signal.SIGUSR2,
            {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"},
            "scontrol requeue 12_3\n",
        ),
        (signal.SIGTERM, {}, ""),  # scancel, or a preemption after which SLURM requeues by itself
    ],
)
def test_slurm_is_asked_to_requeue(number, array, asked, slurm, monkeypatch, run):
    for name, value in array.items():
        monkeypatch.setenv(name, value)
    status, folder = run(signal_in(number, step=0))
    assert status == 128 + number
    assert slurm() == asked
    assert list((folder / "checkpoints").glob("step_*-interrupted.ckpt"))


def test_an_interruption_survives_a_process_boundary():
    copy = pickle.loads(pickle.dumps(InterruptedRunError("stopped", signal.SIGTERM)))
    assert (str(copy), copy.received) == ("stopped", signal.SIGTERM)


HOLDER = """
import sys, time
from pathlib import Path
from flowdeblur.runs import RunFolder
with RunFolder(Path(sys.argv[1])).exclusive():
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.exclusive():
        pass
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder.path], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with (
        pytest.raises(UserError, match=f"process {holder.pid} on .* is training here"),
        folder.exclusive(patience_s=0),
    ):
        pass
    holder.kill()  # leaves no lock behind
    holder.wait()
    with folder.exclusive(patience_s=0):
        (folder.path / ".lock").unlink()  # nor does a lost lock file matter
    with folder.exclusive(patience_s=0):
        pass


def test_best_weights_are_those_of_the_best_validation(run):
    from safetensors.torch import load_file

    import flowdeblur
    from flowdeblur import weights

    _, folder = run("optimizer.lr=0.003", "scheduler=constant")
    scores = {each["step"]: each["val/psnr"] for each in metrics_of(folder)["history"]}
    best = max(scores, key=scores.__getitem__)
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["global_step"] == best
    kept = load_file(folder / "best.safetensors")
    assert all(
        torch.equal(tensor, checkpoint["state_dict"][f"network.{name}"])
        for name, tensor in kept.items()
    )
    metrics = weights.describe(folder / "best.safetensors")["metrics"]
    assert (metrics["step"], metrics["val/psnr"]) == (best, scores[best])
    assert flowdeblur.load(folder / "best.safetensors") is not None


def test_data_may_move_between_starts(tmp_path):
    from tests.composition import compose_config, plain

    folder = RunFolder(tmp_path)
    folder.begin(plain(compose_config("data=frames", "data.root=/scratch/job-1")))
    folder.begin(plain(compose_config("data=frames", "data.root=/scratch/job-2", "data.workers=7")))
    with pytest.raises(UserError, match=r"data.patch=\[128, 128\], not \[64, 64\]"):
        folder.check(plain(compose_config("data=frames", "data.root=.", "data.patch=[64,64]")))


def test_processes_that_begin_at_different_steps_are_stopped(monkeypatch):
    from types import SimpleNamespace

    from flowdeblur.errors import RuntimeFailureError
    from flowdeblur.training import processes
    from flowdeblur.training.callbacks import CheckSameStep

    others = iter([150, -100])  # the largest step of all, and minus the smallest
    monkeypatch.setattr(processes, "largest", lambda number, device: next(others))
    with pytest.raises(
        RuntimeFailureError, match="different newest checkpoints, of steps 100 and 150"
    ):
        CheckSameStep().on_train_start(
            SimpleNamespace(global_step=150), SimpleNamespace(device="cpu")
        )


@pytest.mark.slow
def test_kills_at_random_moments(capsys):
    """FLOWDEBLUR_KILLS kills (20 if it is not set); benchmarks/faults.py reports more."""
    from benchmarks import faults

    seed = time.time_ns() % 1000
    assert (
        faults.main(["--kills", os.environ.get("FLOWDEBLUR_KILLS", "20"), "--seed", str(seed)]) == 0
    ), capsys.readouterr().out
    assert json.dumps(seed) in capsys.readouterr().out
