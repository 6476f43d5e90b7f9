"""The batch script, run by a bash that believes to be a task of an array."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flowdeblur.ablation.jobs import SweepJob
from flowdeblur.ablation.slurm import script, submit
from flowdeblur.ablation.sweep import Point
from flowdeblur.cli import main
from flowdeblur.errors import RuntimeFailureError, UserError

TABLE4 = str(Path(__file__).parents[2] / "sweeps" / "table4.yaml")


def directives(text):
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line]
    # As sbatch does: a value may stand in quotes.
    return dict(shlex.split(line)[0].partition("=")[::2] for line in lines)


def executable(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(stat.S_IRWXU)


@pytest.fixture
def printed(capsys, tmp_path):
    def dry_run(*arguments):
        runs = str(tmp_path / "my runs")
        command = ["ablate", "run", TABLE4, "--runs", runs, "--slurm", "--dry-run", *arguments]
        assert main(command) == 0
        return capsys.readouterr().out

    return dry_run


def test_the_array_has_a_task_for_every_run(printed, tmp_path):
    options = ["--sbatch", "partition=gpu", "--sbatch", "time=1:00:00"]
    found = directives(printed("ablation=ours", *options))
    assert found["array"] == "1-3"
    assert found["job-name"] == "table4"
    assert (found["partition"], found["time"]) == ("gpu", "1:00:00")
    assert found["ntasks-per-node"] == "1"
    assert found["requeue"] == ""
    assert found["signal"] == "SIGUSR1@120"  # without B:, to the steps
    assert found["output"] == f"{tmp_path}/my runs/slurm/%a.log"
    assert not (tmp_path / "my runs").exists()


def test_a_run_on_several_devices_gets_as_many_tasks(printed):
    assert directives(printed("trainer.devices=4", "ablation=ours"))["ntasks-per-node"] == "4"


def test_a_task_starts_its_own_run_under_srun(printed, tmp_path):
    text = printed("ablation=ours,without_flow", "seed=0", "data.train.size=[80,96]")
    # An srun that notes its command instead of running it.
    executable(tmp_path / "bin", "srun", 'printf "%s\\n" "$@" > "$NOTE"')
    (tmp_path / "array.sbatch").write_text(text)
    started = []
    for task in (1, 2):
        note = tmp_path / f"note{task}"
        environment = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "SLURM_ARRAY_TASK_ID": str(task),
            "NOTE": str(note),
        }
        subprocess.run(["bash", str(tmp_path / "array.sbatch")], env=environment, check=False)
        started.append(note.read_text().splitlines())
    for line, row in zip(started, ("ours", "without_flow"), strict=True):
        assert line[:3] == [sys.executable, "-m", "flowdeblur.cli.train"]
        assert {f"ablation={row}", "seed=0", "data.train.size=[80,96]"} <= set(line)
        assert line[-1] == f"hydra.run.dir='{tmp_path}/my runs/{row}-seed0'"


def test_submit(tmp_path, monkeypatch):
    executable(tmp_path / "bin", "sbatch", 'grep -q "array=.1-1" "$1" && echo "Submitted 7"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    job = SweepJob(Point("ours", "ours", {}, ()), tmp_path / "ours")
    text = script("table4", tmp_path / "slurm", [job], ["run", "x.yaml"], [])
    assert submit(text, tmp_path / "slurm") == "Submitted 7"
    executable(tmp_path / "bin", "sbatch", 'echo "invalid partition" >&2; exit 1')
    with pytest.raises(RuntimeFailureError, match="invalid partition"):
        submit(text, tmp_path / "slurm")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="sbatch: not found"):
        submit(text, tmp_path / "slurm")


def test_the_array_is_ours(tmp_path):
    with pytest.raises(UserError, match="--sbatch array"):
        script("x", tmp_path, [], [], ["--array=0-3"])
