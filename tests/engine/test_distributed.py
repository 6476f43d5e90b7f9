"""Several processes train the model that one process trains."""

from __future__ import annotations

import csv
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.engine.runs import TINY, finish, largest_difference, metrics_of, start

from flowdeblur.cli import main
from flowdeblur.engine.resolvers import run_id
from flowdeblur.errors import UserError
from flowdeblur.training.processes import FrameMeans

# Flow comes first for two steps: parameters without gradients, and then with them. Adam with its
# own epsilon of 1e-8 would divide rounding errors by each other where a gradient is next to 0.
BUDGET = ["task.flow_first=2", "scheduler=constant", "optimizer.eps=1e-4"]
TWO = ["trainer=ddp", "trainer.devices=2"]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("runs") / "one_process"
    assert main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={folder}"]) == 0
    return folder


def losses(folder):
    rows = csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open())
    return [float(row["train/loss"]) for row in rows if row.get("train/loss")]


def assert_same_run(folder, one_process, rel=1e-5):
    assert losses(folder) == pytest.approx(losses(one_process), rel=rel)
    assert largest_difference(folder, one_process) < 1e-5
    for ours, theirs in zip(
        metrics_of(folder)["history"], metrics_of(one_process)["history"], strict=True
    ):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert metrics_of(folder)["test"] == pytest.approx(metrics_of(one_process)["test"], rel=1e-4)
    names = [
        [line.split(",")[0] for line in (each / "frames.csv").open()]
        for each in (folder, one_process)
    ]
    assert names[0] == names[1]


def test_two_processes_train_what_one_trains(one_process, cache, tmp_path):
    """Five frames in shares of three and two: means are over frames, not over processes."""
    folder = tmp_path / "run"
    record = f"+callbacks.record={{_target_:tests.engine.runs.Record,folder:{tmp_path}}}"
    status, printed = finish(
        start(["train.py", *TINY, *BUDGET, *TWO, cache, record, f"hydra.run.dir={folder}"])
    )
    assert status == 0, printed
    assert_same_run(folder, one_process)
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert {each.name for each in tmp_path.iterdir()} == {"run", "rank-0.pt", "rank-1.pt"}
    assert len(list((folder / "csv").iterdir())) == 1
    assert metrics_of(folder)["samples_per_second"] > 0
    assert metrics_of(folder)["device"].startswith("2 x ")
    assert printed.count("step 4/4") == 1


def test_accumulated_gradients_train_the_same(one_process, cache, tmp_path):
    folder = tmp_path / "run"
    status = main(
        ["train", *TINY, *BUDGET, cache, "data.device_batch_size=1", f"hydra.run.dir={folder}"]
    )
    assert status == 0
    assert_same_run(folder, one_process)


@pytest.mark.slow
def test_torchrun_trains_the_same_in_one_folder(one_process, cache, tmp_path):
    root = Path.cwd()
    status, printed = finish(
        start(
            ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
             f"{root}/train.py", *TINY, *BUDGET, *TWO, cache],
            cwd=tmp_path,
        )
    )  # fmt: skip
    assert status == 0, printed
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("torchrun-")
    assert_same_run(folder, one_process)


@pytest.mark.slow
def test_torchrun_starts_killed_processes_again(one_process, cache, tmp_path):
    """One process dies in the third step; torchrun starts both again, and they go on."""
    once = tmp_path / "killed"
    kill = f"+callbacks.kill={{_target_:tests.engine.test_distributed.KillOnce,mark:{once}}}"
    status, printed = finish(
        start(
            ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
             "--max-restarts=1", f"{Path.cwd()}/train.py", *TINY, *BUDGET, *TWO, cache, kill],
            cwd=tmp_path,
        )
    )  # fmt: skip
    assert status == 0, printed
    assert once.exists()
    (folder,) = (tmp_path / "runs").iterdir()
    assert "resuming from" in (folder / "train.log").read_text()
    assert largest_difference(folder, one_process) < 1e-5


class KillOnce:
    """A callback that ends the second process once, in the third step."""

    def __new__(cls, mark):
        import lightning as L

        class _KillOnce(L.Callback):
            def on_train_batch_start(self, trainer, *_):
                if (
                    trainer.global_rank == 1
                    and trainer.global_step == 3
                    and not Path(mark).exists()
                ):
                    Path(mark).touch()
                    os.kill(os.getpid(), signal.SIGKILL)

        return _KillOnce()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["first", "second"])
def test_a_killed_process_ends_the_others_and_the_run_resumes(victim, cache, tmp_path):
    budget = [*BUDGET, "trainer.max_steps=40", "trainer.val_check_interval=10"]
    command = ["train.py", *TINY, *budget, *TWO, cache]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert finish(start([*command, f"hydra.run.dir={straight}"]))[0] == 0
    process = start([*command, f"hydra.run.dir={killed}"])
    while not (killed / "checkpoints" / "step_00000010.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(random.uniform(0, 0.5))
    (second,) = _children(process.pid)
    os.kill(process.pid if victim == "first" else second, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{second}").exists():
        assert time.monotonic() < deadline, "the other process lives on"
        time.sleep(0.1)
    assert not (killed / "weights.safetensors").exists()
    status, printed = finish(start([*command, f"hydra.run.dir={killed}"]))
    assert status == 0, printed
    assert largest_difference(killed, straight) < 1e-6


def _children(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in children if _is_training(each)]


def _is_training(pid):
    return "trainer=ddp" in Path(f"/proc/{pid}/cmdline").read_text()


def test_means_over_frames_are_exact():
    means = FrameMeans()
    means.add({"psnr": torch.tensor([30.0, 31.0, 35.0]), "loss": torch.tensor(1.0)}, 3)
    means.add({"psnr": torch.tensor([20.0]), "loss": torch.tensor(3.0)}, 1)
    assert means.pop(torch.device("cpu")) == {"psnr": 29.0, "loss": 1.5}
    assert means.pop(torch.device("cpu")) == {}


def test_a_batch_that_cannot_be_shared(cache, tmp_path, capsys):
    status = main(
        ["train", *TINY, cache, f"hydra.run.dir={tmp_path}", "data.device_batch_size=1",
         "trainer.accumulate_grad_batches=2"]
    )  # fmt: skip
    assert status == 2
    assert "set only one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RUN_ID": "mine", "SLURM_JOB_ID": "7"}, "mine"),
        ({"WANDB_RUN_ID": "abc"}, "abc"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "wrap"}, "slurm-7"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, "slurm-7"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "2"}, "slurm-7-2"),
        ({"TORCHELASTIC_RUN_ID": "4e", "WORLD_SIZE": "2"}, "torchrun-4e"),
    ],
)
def test_names_of_runs(environment, expected, monkeypatch):
    _only(environment, monkeypatch)
    assert run_id() == expected


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "bash"},
        {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "1"},
    ],
)
def test_names_by_time_differ(environment, monkeypatch):
    _only(environment, monkeypatch)
    first = run_id()
    time.sleep(1e-5)
    assert first.startswith("20")
    assert first != run_id()


def test_torchrun_without_a_name_is_refused(monkeypatch, capsys, tmp_path):
    _only({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2"}, monkeypatch)
    with pytest.raises(UserError, match="--standalone or --rdzv-id=NAME, or set RUN_ID"):
        run_id()
    assert main(["train", *TINY]) == 2
    assert "torchrun: its processes share no name" in capsys.readouterr().err


def _only(environment, monkeypatch):
    for name in ("RUN_ID", "WANDB_RUN_ID", "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_STEP_ID",
                 "TORCHELASTIC_RUN_ID", "WORLD_SIZE"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_shares_of_frames_do_not_overlap():
    """What each process evaluates, for any number of them."""
    from types import SimpleNamespace

    from tests.composition import compose_config, plain

    from flowdeblur.engine.configuration import instantiate

    data = instantiate(
        plain(compose_config("data.val.count=5", "data.train.count=1"))["data"],
        "data",
        frame_offsets=(0, 1),
        flow_offsets=(1,),
    )
    data.open = lambda split: list(range(5))
    for world in (1, 2, 3, 5):
        seen = []
        for rank in range(world):
            data.trainer = SimpleNamespace(world_size=world, global_rank=rank)
            seen += list(data.val_dataloader().dataset)
        assert seen == list(range(5)), world
    data.trainer = SimpleNamespace(world_size=6, global_rank=0)
    with pytest.raises(UserError, match=r"data\.val has 5 frames, fewer than the 6 processes"):
        data.val_dataloader()
