"""Jobs on a real SLURM of two nodes: submitted, preempted, bereft of a node, cancelled, swept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from tests.cluster.commands import commands, small
from tests.engine.runs import ROOT, TINY, largest_difference, metrics_of

from flowdeblur.cli import main

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not all(
            shutil.which(each, path=f"{os.environ['PATH']}:/usr/sbin")
            for each in ("slurmctld", "munged")
        ),
        reason="no SLURM here: apt-get install slurm-wlm munge",
    ),
]
SCRIPT = Path(__file__).with_name("slurm.sh")
NODES = ["--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=0", "--cpus-per-task=1"]
HERE = [
    f"hydra.launcher.{each}" for each in ("gpus_per_node=null", "cpus_per_task=1", "timeout_min=5")
]
BUDGET = [
    "trainer.max_steps=30",
    "trainer.val_check_interval=5",
    "objective=fast",  # the unit that eps is in
    "scheduler=constant",
    "optimizer.eps=1e-4",  # tests/engine/test_distributed.py says why
]


@pytest.fixture(scope="module")
def slurm():
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    subprocess.run(["sh", SCRIPT, "start", folder], check=True)
    patch = pytest.MonkeyPatch()
    patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    patch.setenv("PATH", f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    # Both nodes are this machine, whatever it is called.
    patch.setenv("MASTER_ADDR", "127.0.0.1")
    patch.setenv("GLOO_SOCKET_IFNAME", "lo")
    patch.setenv("OMP_NUM_THREADS", "1")
    yield folder
    subprocess.run(["scancel", "--user", str(os.getuid())], check=False)
    time.sleep(1)
    subprocess.run(["sh", SCRIPT, "stop", folder], check=True)
    patch.undo()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return f"data.train.cache={tmp_path_factory.mktemp('scenes')}"


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, cache):
    """What one process makes of it."""
    folder = tmp_path_factory.mktemp("runs") / "one_process"
    assert main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={folder}"]) == 0
    return folder


class Job:
    """A job as docs/cluster.md submits it."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.folder = folder
        (command,) = commands("sbatch ")
        script = ROOT / command.split()[1]
        printed = _call(
            ["sbatch", "--parsable", *NODES, script, *TINY, *BUDGET, *overrides], folder
        )
        self.id = printed.strip()
        self.run = folder / "runs" / f"slurm-{self.id}"

    @property
    def state(self) -> str:
        return _call(
            ["squeue", "--noheader", "--states=all", "--format=%T", f"--job={self.id}"]
        ).strip()

    @property
    def log(self) -> str:
        return (self.folder / f"slurm-{self.id}.log").read_text()

    def until_step(self, step: int) -> None:
        self._until(
            lambda: (self.run / "checkpoints" / f"step_{step:08d}.ckpt").exists(), f"step {step}"
        )

    def until(self, *states: str) -> None:
        self._until(lambda: self.state in states, " or ".join(states))

    def _until(self, condition, what) -> None:
        deadline = time.monotonic() + 150
        while not condition():
            assert time.monotonic() < deadline, f"no {what} in time, but {self.state}:\n{self.log}"
            assert self.state not in ("FAILED", "NODE_FAIL"), self.log
            time.sleep(0.2)


def _call(command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_on_two_nodes_trains_what_one_process_trains(slurm, cache, one_process, tmp_path):
    job = Job(tmp_path, cache)
    job.until("COMPLETED")
    (run,) = (tmp_path / "runs").iterdir()
    assert run == job.run
    assert metrics_of(run)["device"].startswith("2 x ")
    assert metrics_of(run)["test"] == pytest.approx(metrics_of(one_process)["test"], rel=1e-3)
    assert largest_difference(run, one_process) < 1e-4


def test_what_an_agent_of_wandb_starts_has_one_folder_of_its_name(
    slurm, cache, monkeypatch, tmp_path
):
    monkeypatch.setenv("WANDB_RUN_ID", "agents-choice")
    job = Job(tmp_path, cache, "trainer.max_steps=5")
    job.until("COMPLETED")
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name == "agents-choice"
    assert metrics_of(run)["device"].startswith("2 x ")


def test_a_preempted_job_saves_is_requeued_and_resumes(slurm, cache, one_process, tmp_path):
    """What ``--signal=SIGUSR1@120`` sends before the time limit is sent by hand."""
    job = Job(tmp_path, cache)
    job.until_step(5)
    _call(["scancel", "--signal=USR1", job.id])
    job.until("PENDING")
    (saved,) = (job.run / "checkpoints").glob("*-interrupted.ckpt")
    job.until("COMPLETED")
    assert "asking SLURM to requeue" in job.log
    assert f"resuming from {saved}" in job.log
    assert metrics_of(job.run)["test"] == pytest.approx(metrics_of(one_process)["test"], rel=1e-3)
    assert [each["step"] for each in metrics_of(job.run)["history"]] == [5, 10, 15, 20, 25, 30]
    assert largest_difference(job.run, one_process) < 1e-4


def test_a_job_survives_the_death_of_a_node(slurm, cache, one_process, tmp_path):
    job = Job(tmp_path, cache)
    job.until_step(10)
    subprocess.run(["sh", SCRIPT, "kill", slurm, "n2"], check=True)
    try:
        job.until("PENDING")
    finally:
        subprocess.run(["sh", SCRIPT, "node", slurm, "n2"], check=True)
    job.until("COMPLETED")
    assert "resuming from" in job.log
    assert metrics_of(job.run)["test"] == pytest.approx(metrics_of(one_process)["test"], rel=1e-3)
    assert largest_difference(job.run, one_process) < 1e-4


def test_a_cancelled_job_saves_and_the_same_run_resumes(slurm, cache, one_process, tmp_path):
    job = Job(tmp_path, cache)
    job.until_step(5)
    _call(["scancel", job.id])
    job.until("CANCELLED")
    checkpoints = sorted(each.name for each in (job.run / "checkpoints").glob("step_*.ckpt"))
    assert checkpoints[-1].endswith("-interrupted.ckpt")
    status = main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={job.run}"])  # on one node
    assert status == 0
    assert largest_difference(job.run, one_process) < 1e-4


@pytest.mark.parametrize("command", commands("hydra/launcher=slurm"))
def test_a_sweep_is_an_array_of_jobs(command, slurm, cache, tmp_path):
    before = _array_tasks()
    sweep = tmp_path / "seeds"
    words = small(command)[2:]
    assert (
        main(["train", *words, *HERE, cache, "trainer.max_steps=2", f"hydra.sweep.dir={sweep}"])
        == 0
    )
    runs = [sweep / f"seeds-{number}" for number in range(3)]
    assert [metrics_of(each)["steps"] for each in runs] == [2, 2, 2]
    assert {metrics_of(each)["device"][0] for each in runs} == {"2" if "ddp" in command else "1"}
    assert largest_difference(*runs[:2]) > 0
    assert _array_tasks() - before == 3


def _array_tasks() -> int:
    jobs = json.loads(_call(["squeue", "--states=all", "--json"]))["jobs"]
    return sum(job["array_job_id"] > 0 for job in jobs)


def test_what_is_wrong_in_a_job_of_a_sweep_is_reported_here(slurm, cache, tmp_path, capsys):
    status = main(
        ["train", "-m", *TINY, *HERE, cache, "data.patch=[4096,4096]", "hydra/launcher=slurm",
         "seed=0", f"hydra.sweep.dir={tmp_path}"]
    )  # fmt: skip
    assert status == 2
    assert "data.patch is 4096x4096 pixels" in capsys.readouterr().err
