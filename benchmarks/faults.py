"""Kill a training run at random moments, start it again each time, and see that it ends the same.

    python benchmarks/faults.py --kills 100 --out benchmarks/results/faults.md
    python benchmarks/faults.py --kills 10 --processes 2      # any process of a DDP run is killed

A kill is SIGKILL, at a random step and a random moment after it began: while it trains, validates,
writes a checkpoint, or writes the results. With one process the weights, the scores and the history
must be those of an uninterrupted run, bit for bit; with several, to rounding.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from safetensors.torch import load_file

from flowdeblur.cli import main as flowdeblur_main
from flowdeblur.devices import describe_device

STEPS = 30
RUN = [
    "model.width=4", "data.train.count=6", "data.val.count=4", "data.test.count=4",
    "data.train.size=[80,96]", "data.patch=[64,64]", "data.batch_size=2", "trainer.accelerator=cpu",
    f"trainer.max_steps={STEPS}", "trainer.val_check_interval=5", "trainer.log_every_n_steps=1",
    "task.flow_first=7", "callbacks=ema",
]  # fmt: skip


class Kill(L.Callback):
    """End this process by SIGKILL, ``delay_s`` after a step has begun.

    Args:
        step: steps are counted from 0.
        delay_s: in seconds.
        rank: which process it is for.
    """

    def __init__(self, step: int, delay_s: float, rank: int) -> None:
        self.step, self.delay_s, self.rank = step, delay_s, rank

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        """Lightning's hook."""
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            kill = threading.Timer(self.delay_s, os.kill, (os.getpid(), signal.SIGKILL))
            kill.daemon = True  # a run that is over by then has survived
            kill.start()


def train(arguments: list[str], log: Path) -> None:
    """Run ``flowdeblur train`` and end this process with its status."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    sys.exit(flowdeblur_main(["train", *arguments]))


class Faults:
    """Runs in ``folder``, straight and killed.

    Args:
        folder: for run folders, logs and the cache of scenes.
        processes: of each run.
        seed: of the kills.
    """

    def __init__(self, folder: Path, processes: int, seed: int) -> None:
        self.folder, self.processes = folder, processes
        self.random = random.Random(seed)
        self.overrides = [*RUN, f"data.train.cache={folder / 'cache'}"]
        if processes > 1:
            self.overrides += ["trainer=ddp", f"trainer.devices={processes}"]
        # A server that has imported everything forks each run in milliseconds.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["flowdeblur.engine.training"])

    def start(self, name: str, *more: str) -> int | None:
        """Run in ``folder/name`` to its end, and return the exit status; -9 if it was killed."""
        arguments = [*self.overrides, f"hydra.run.dir={self.folder / name}", *more]
        process = self._context.Process(target=train, args=(arguments, self.folder / f"{name}.log"))
        process.start()
        process.join()
        return process.exitcode

    def kill_until_it_ends(self, name: str, at_most: int, longest_s: float) -> list[str]:
        """Kill a run up to ``at_most`` times, then let it end; say at which moments."""
        moments = []
        while True:
            kill = ""
            if len(moments) < at_most:
                first = _newest(self.folder / name)
                step = min(first + self.random.randrange(10), STEPS - 1)
                delay, rank = (
                    self.random.uniform(0, longest_s),
                    self.random.randrange(self.processes),
                )
                kill = f"step {step} + {delay:.3f} s" + (
                    f", rank {rank}" if self.processes > 1 else ""
                )
                target = ("faults" if __name__.startswith("__") else __name__) + ".Kill"
                status = self.start(
                    name,
                    f"+callbacks.kill={{_target_:{target},step:{step},delay_s:{delay},rank:{rank}}}",
                )
            else:
                status = self.start(name)
            if status == 0:
                return moments
            if not kill or (status != -signal.SIGKILL and self.processes == 1):
                log = (self.folder / f"{name}.log").read_text()
                raise SystemExit(f"{name} ended with status {status}:\n{log[-3000:]}")
            moments.append(kill)

    def difference(self, first: str, second: str) -> float:
        """The largest difference between the weights of two runs; NaN if their histories differ."""
        one, two = (
            load_file(self.folder / each / "weights.safetensors") for each in (first, second)
        )
        largest = max((one[name] - two[name]).abs().max().item() for name in one)
        metrics = [
            json.loads((self.folder / each / "metrics.json").read_text())
            for each in (first, second)
        ]
        same = all(metrics[0][key] == metrics[1][key] for key in ("val", "test", "history"))
        return largest if same or self.processes > 1 else float("nan")


def _newest(folder: Path) -> int:
    steps = [int(each.stem[5:13]) for each in (folder / "checkpoints").glob("step_*.ckpt")]
    return max(steps, default=0)


def main(argv: Sequence[str]) -> int:
    """Kill as often as asked; the status is 1 if any run ended differently."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--kills-per-run", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=0.5, help="delay after a step begins, s")
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args(argv)
    lines = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        faults = Faults(Path(folder), options.processes, options.seed)
        assert faults.start("straight") == 0, (Path(folder) / "straight.log").read_text()
        killed = runs = different = 0
        while killed < options.kills:
            runs += 1
            name = f"run-{runs}"
            moments = faults.kill_until_it_ends(
                name, min(options.kills_per_run, options.kills - killed), options.longest
            )
            killed += len(moments)
            difference = faults.difference("straight", name)
            fine = difference == 0 if options.processes == 1 else difference < 1e-5
            different += not fine
            lines.append(
                f"{name}: killed at {'; '.join(moments) or 'no time'}: difference {difference:g}"
            )
            print(lines[-1], flush=True)
    verdict = (
        f"{killed} kills in {runs} runs of {STEPS} steps, {options.processes} process(es), "
        f"seed {options.seed}: {different} runs ended differently."
    )
    print(verdict)
    if options.out:
        text = (
            f"# Runs that were killed\n\n{verdict} {describe_device(torch.device('cpu'))}\n\n"
            "The difference is the largest of any weight "
        )
        text += "to those of an uninterrupted run.\n\n```\n" + "\n".join(lines) + "\n```\n"
        options.out.write_text(text)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
