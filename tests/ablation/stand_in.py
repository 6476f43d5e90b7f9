"""Stands in for a training run where a runner is tested: as quick as a process can be.

It is the runner's launcher, so that it is given the run's whole command line. Behind ``do=`` stands
what happens to it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

tokens = dict(argument.split("=", 1) for argument in sys.argv if "=" in argument)
folder = Path(tokens["hydra.run.dir"])
(folder / "checkpoints").mkdir(exist_ok=True)
with (folder / "starts.txt").open("a") as file:
    environment = {
        name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    }
    file.write(json.dumps({"at": time.time(), "pid": os.getpid(), **environment}) + "\n")
starts = len((folder / "starts.txt").read_text().splitlines())
what = tokens["do"]
(folder / "checkpoints" / "step_00000002.ckpt").touch()
progress = {"step": 2, "max_steps": 4, "steps_per_second": 3.0, "seconds_left": 0.7}
(folder / "progress.new").write_text(json.dumps(progress))
(folder / "progress.new").replace(folder / "progress.json")  # atomically, as a run does
if what == "sleep":
    time.sleep(60)
if what == "fail" or (what == "fail_once" and starts == 1):
    print("error: the loss is nan at step 2", file=sys.stderr)
    sys.exit(1)
if what == "stop_once" and starts == 1:
    sys.exit(0)
if what == "preempted_once" and starts == 1:
    sys.exit(128 + signal.SIGTERM)
if what == "ended_once" and starts == 1:
    os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.3)
scores = {"psnr": 30.0 + starts}
(folder / "metrics.json").write_text(json.dumps({"steps": 4, "seconds": 3, "test": scores}))
with (folder / "starts.txt").open("a") as file:
    file.write(json.dumps({"end": time.time()}) + "\n")
