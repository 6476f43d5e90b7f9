"""Jobs side by side, with a stand-in for the training."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from flowdeblur.ablation.jobs import State, SweepJob, check_budget, shard
from flowdeblur.ablation.runner import run, slots
from flowdeblur.ablation.sweep import Point
from flowdeblur.ablation.view import SweepView
from flowdeblur.errors import UserError

LAUNCHER = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]


@pytest.fixture
def make(tmp_path):
    def jobs(*behaviours):
        points = [Point(f"row{n}", f"row{n}", {}, (f"do={b}",)) for n, b in enumerate(behaviours)]
        return [SweepJob(point, tmp_path / point.name, steps=4) for point in points]

    return jobs


def start(jobs, places=1, stream=None):
    stream = stream or io.StringIO()
    return run(jobs, [{}] * places, SweepView("sweep", jobs, places, stream), LAUNCHER)


def events(job):
    return [json.loads(line) for line in (job.folder / "starts.txt").read_text().splitlines()]


def test_a_failed_run_does_not_affect_the_others(make):
    jobs, stream = make("succeed", "fail", "succeed"), io.StringIO()
    states = start(jobs, stream=stream)
    assert list(states.values()) == [State.DONE, State.FAILED, State.DONE]
    printed = stream.getvalue()
    assert "row1: failed, error: the loss is nan at step 2" in printed
    assert "[2/3 done] row2: done, test PSNR 31.00 dB" in printed
    assert [job.state() for job in jobs] == list(states.values())


def test_launchers_that_cannot_start_anything(make, tmp_path):
    (job,) = make("succeed")
    view = SweepView("sweep", [job], 1, io.StringIO())
    with pytest.raises(UserError, match=r"^--launcher nowhere: no such program on this machine"):
        run([job], [{}], view, ["nowhere", "--exact"])
    assert not job.folder.exists()
    script = tmp_path / "launch.sh"
    script.write_text('exec "$@"\n')  # a shell would run it, the system wants its first line
    script.chmod(0o755)
    with pytest.raises(UserError, match=rf"^{script}: Exec format error; change --launcher"):
        run([job], [{}], view, [str(script)])
    assert start([job]) == {"row0": State.DONE}  # the folder is free again


def test_the_same_command_resumes_where_something_is_missing(make):
    jobs = make("succeed", "fail_once", "stop_once", "preempted_once", "ended_once")
    assert list(start(jobs).values()) == [State.DONE, State.FAILED, *[State.STOPPED] * 3]
    assert [job.state() for job in jobs[1:]] == [State.FAILED, *[State.STOPPED] * 3]
    assert list(start(jobs).values()) == [State.DONE] * 5
    assert [len([e for e in events(job) if "pid" in e]) for job in jobs] == [1, 2, 2, 2, 2]


def test_so_many_at_a_time_and_no_more(make):
    jobs = make(*["succeed"] * 5)
    start(jobs, places=2)
    times = [(+1, e["at"]) if "at" in e else (-1, e["end"]) for job in jobs for e in events(job)]
    running, most = 0, 0
    for change, _ in sorted(times, key=lambda each: each[1]):
        running += change
        most = max(most, running)
    assert most == 2


def test_two_runners_share_the_work(make):
    jobs = make(*["succeed"] * 4)
    other = multiprocessing.get_context("fork").Process(target=start, args=(jobs,))
    other.start()
    states = start(jobs)
    other.join(60)
    assert other.exitcode == 0
    assert set(states.values()) == {State.DONE}
    assert all(len([e for e in events(job) if "pid" in e]) == 1 for job in jobs)


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_seen_by_others_while_it_lasts(make):
    (job,) = make("sleep")
    assert job.state() == State.WAITING
    job.folder.mkdir()
    claim = job.claim()
    process = subprocess.Popen([*LAUNCHER, *job.command()], pass_fds=(claim,))
    os.close(claim)
    wait_for(job.folder / "progress.json")
    assert job.state() == State.RUNNING
    assert job.claim() is None
    assert (job.progress().step, job.progress().steps_per_second) == (2, 3.0)
    process.kill()
    process.wait()
    assert job.state() == State.STOPPED


def test_a_terminated_runner_ends_its_runs(make):
    (job,) = make("sleep")
    runner = multiprocessing.get_context("fork").Process(target=start, args=([job],))
    runner.start()
    wait_for(job.folder / "progress.json")
    runner.terminate()
    runner.join(60)
    assert runner.exitcode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(events(job)[0]["pid"], 0)
    assert job.state() == State.STOPPED


def test_runs_outlive_a_killed_runner_and_keep_their_claim(make):
    (job,) = make("sleep")
    runner = multiprocessing.get_context("fork").Process(target=start, args=([job],))
    runner.start()
    wait_for(job.folder / "progress.json")
    runner.kill()
    runner.join(60)
    assert job.state() == State.RUNNING
    os.kill(events(job)[0]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while job.state() == State.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert job.state() == State.STOPPED


@pytest.mark.parametrize(
    ("jobs", "devices", "gpus", "expected"),
    [
        (None, 1, [], [{}]),
        (None, 1, ["0", "1"], [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]),
        (None, 2, list("01234"), [{"CUDA_VISIBLE_DEVICES": each} for each in ("0,1", "2,3")]),
        (3, 1, ["5", "7"], [{"CUDA_VISIBLE_DEVICES": each} for each in ("5", "7", "5")]),
        (1, 1, ["0", "1"], [{}]),
        (None, 4, ["0", "1"], [{}]),
    ],
)  # fmt: skip
def test_gpus_are_shared_out(jobs, devices, gpus, expected):
    assert slots(jobs, devices, gpus) == expected


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert slots(2, 1, []) == [{"OMP_NUM_THREADS": "4"}] * 2
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert slots(2, 1, []) == [{"OMP_NUM_THREADS": "3"}] * 2


def test_shards_are_disjoint_and_complete(make):
    jobs = make(*["succeed"] * 7)
    parts = [jobs[shard(f"{n}/3")] for n in (1, 2, 3)]
    assert sorted(job.name for part in parts for job in part) == [job.name for job in jobs]
    assert jobs[shard(None)] == jobs
    for wrong in ("0/3", "4/3", "1", "a/b"):
        with pytest.raises(UserError, match=f"--shard {wrong}"):
            shard(wrong)


def test_equal_minutes_are_a_budget_that_any_step_fulfils(tmp_path):
    job = SweepJob(Point("r", "r", {}, ()), tmp_path, steps=100, minutes=10.0)
    (tmp_path / "metrics.json").write_text(json.dumps({"steps": 7}))
    assert job.state() == State.DONE
    config = {"trainer": {"max_steps": 100}, "budget_minutes": 5.0}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"contains a run of 5.0 minutes, not 10.0"):
        check_budget(job)


def test_another_budget_is_refused(make):
    (job,) = make("succeed")
    check_budget(job)
    job.folder.mkdir()
    (job.folder / "config.yaml").write_text(yaml.safe_dump({"trainer": {"max_steps": 900}}))
    with pytest.raises(UserError, match="contains a run of 900 steps, not 4"):
        check_budget(job)


def test_a_terminal_gets_a_table_that_redraws_itself(make, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "40")
    jobs, stream = make("succeed", "fail"), Terminal()
    start(jobs, stream=stream)
    printed = stream.getvalue()
    assert "\x1b[2K" in printed  # lines are erased and written again
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed[printed.rindex("sweep: ") :])
    lines = [" ".join(line.split()) for line in last.splitlines()]
    assert lines[0] == "sweep: 1 done, 1 failed"
    assert lines[1] == "done row0 test PSNR 31.00 dB, trained for 3 s"
    assert lines[2].startswith("failed row1 error: the loss is nan at step 2")


def test_folders_with_strange_names_reach_hydra_whole(tmp_path):
    for name in ("plain", "a b", "a=b,c", "it's", "{x}", "back\\slash"):
        token = SweepJob(Point("r", "r", {}, ()), tmp_path / name).command()[-1]
        (override,) = OverridesParser.create().parse_overrides([token])
        assert override.value() == str(tmp_path / name)
