"""Kill commands at random moments, run them again until they end, and compare what they leave.

    python -m benchmarks.kills --kills 100 --out benchmarks/results/kills.md

A kill is SIGKILL at a moment drawn evenly from the duration of an uninterrupted run. In the end
the output must have the bytes of that run, and no partial file may be next to it. Training has a
program of its own, benchmarks/faults.py.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import torch

from flowdeblur.cli import main as flowdeblur_main
from flowdeblur.devices import describe_device
from flowdeblur.video.images import write_image

SIZE, FRAMES = (96, 128), 16
KILLS_PER_RUN = 5
DEBLUR = ("deblur", "--weights", "small")

Command = Callable[[Path, Path], list[str]]
"""The arguments, from the folder of the inputs and the output."""

COMMANDS: dict[str, tuple[Command, str]] = {
    "deblur, video": (lambda inputs, out: [*DEBLUR, str(inputs / "a.mkv"), str(out)], "out.mp4"),
    "deblur, folder": (lambda inputs, out: [*DEBLUR, str(inputs / "a"), str(out)], "out"),
    "data pack": (
        lambda inputs, out: [
            *("data", "pack", str(inputs / "pairs"), str(out)),
            *("--blurry", "*/blur", "--sharp", "*/sharp"),
        ],
        "packed",
    ),
    "data synthesize": (
        lambda inputs, out: ["data", "synthesize", str(inputs / "videos"), str(out)],
        "synthesized",
    ),
}


def write_inputs(folder: Path) -> None:
    """Write a textured clip that pans, as a video, as frames, and as pairs."""
    random_light = np.random.default_rng(0).random((SIZE[0] // 4, 64, 3))
    world = np.kron(random_light, np.ones((4, 4, 1)))
    frames = [
        (255 * world[:, 2 * number : 2 * number + SIZE[1]]).astype(np.uint8)
        for number in range(FRAMES)
    ]
    for number, frame in enumerate(frames):
        for path in ("a", "pairs/clip/blur", "pairs/clip/sharp"):
            (folder / path).mkdir(parents=True, exist_ok=True)
            write_image(folder / path / f"{number:03d}.png", frame)
    (folder / "videos").mkdir()
    for path in (folder / "a.mkv", folder / "videos" / "b.mkv"):
        with av.open(str(path), "w") as file:
            stream = file.add_stream("ffv1", rate=25)
            stream.height, stream.width = SIZE
            for frame in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode())


def run(arguments: list[str], log: Path) -> None:
    """Run a command, and end this process with its status."""
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    sys.exit(flowdeblur_main(arguments))


def digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    content = hashlib.sha256()
    for file in files:
        content.update(str(file.relative_to(path.parent)).encode() + file.read_bytes())
    return content.hexdigest()


class Killer:
    """Runs commands in processes that can be killed.

    Args:
        folder: of all files.
        seed: of the kills.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        (folder / "inputs").mkdir()
        write_inputs(folder / "inputs")
        # A server that has imported everything forks each run in milliseconds.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["flowdeblur", "flowdeblur.video.deblur", "cv2"])

    def start(self, arguments: list[str], kill_after: float | None = None) -> int | None:
        """Run to the end, or until the kill; the exit status, -9 after a kill."""
        process = self._context.Process(target=run, args=(arguments, self.folder / "log"))
        process.start()
        process.join(kill_after)
        if process.is_alive():
            process.kill()
        process.join()
        return process.exitcode

    def measure(self, command: Command, name: str, kills: int) -> str:
        """Kill a command ``kills`` times, and say what was left.

        Raises:
            SystemExit: it ended with another status than 0.
        """
        inputs, whole = self.folder / "inputs", self.folder / "whole" / name
        whole.parent.mkdir(exist_ok=True)
        self.start(command(inputs, whole.with_name(f"warm-{name}")))
        begin = time.monotonic()
        self._demand(self.start(command(inputs, whole)))
        duration, wanted = time.monotonic() - begin, digest(whole)
        killed = runs = different = leftovers = 0
        while killed < kills:
            runs += 1
            target = self.folder / f"run-{runs}-{name}" / name
            target.parent.mkdir()
            ended = False
            for _ in range(min(KILLS_PER_RUN, kills - killed)):
                status = self.start(command(inputs, target), self.random.uniform(0, duration))
                killed += status != 0
                # A kill may come when all is written, and then there is nothing left to do.
                ended = status == 0 or (target.exists() and digest(target) == wanted)
                if ended:
                    break
            if not ended:
                self._demand(self.start(command(inputs, target)))
            different += digest(target) != wanted
            leftovers += len(list(target.parent.rglob(".*partial*")))
        return f"| {name} | {killed} | {runs} | {duration:.2f} | {different} | {leftovers} |"

    def _demand(self, status: int | None) -> None:
        if status != 0:
            raise SystemExit(f"status {status}:\n{(self.folder / 'log').read_text()[-3000:]}")


def main(argv: Sequence[str]) -> int:
    """Kill every command as often as asked; the status is 1 if an output differed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a Markdown file")
    options = parser.parse_args(argv)
    lines = [
        "| command | kills | runs | seconds of a run | different outputs | files left |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        killer = Killer(Path(folder), options.seed)
        for name, (command, output) in COMMANDS.items():
            line = killer.measure(command, output, options.kills)
            lines.append(line.replace(f"| {output} |", f"| {name} |"))
            print(lines[-1], flush=True)
    if options.out:
        device = describe_device(torch.device("cpu"))
        text = f"# Commands that were killed\n\nSeed {options.seed}. {device}\n\n"
        options.out.write_text(text + "\n".join(lines) + "\n")
    return int(any(not line.endswith("| 0 | 0 |") for line in lines[2:]))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
