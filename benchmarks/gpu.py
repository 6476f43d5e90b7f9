"""Measure everything that needs a GPU, most important first: ``make gpu MINUTES=10``.

Each step is a command with a time limit. Its output, status and time are written as it ends, and
the report is assembled anew. Called again, the script skips steps that have succeeded. With
``DEVICE=cpu`` it runs the same steps at tiny sizes, to try it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PYTHON = sys.executable
ENVIRONMENT = """
import platform, torch
print(platform.platform(), "Python", platform.python_version(), "torch", torch.__version__)
try:
    import triton
    print("Triton", triton.__version__)
except ImportError:
    print("Triton is not installed")
for i in range(torch.cuda.device_count()):
    print(torch.cuda.get_device_properties(i))
"""
SHAPES = ["20x24x128x128", "1x24x360x640", "20x48x64x64", "20x96x32x32"]


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        name: of its files.
        minutes: that it may take.
        command: program and arguments.
        table: Markdown file that it writes for the report.
    """

    name: str
    minutes: float
    command: list[str]
    table: str | None = None


@dataclass(frozen=True)
class Result:
    """How a step ended.

    Attributes:
        status: "ok", "failed" or "out of time".
        seconds: that it took.
    """

    status: str
    seconds: float


def steps(device: str, out: Path) -> list[Step]:
    """Return the steps in the order of their importance."""
    tiny = device == "cpu"
    tests = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    operator = [PYTHON, "-m", "flowdeblur", "benchmark", "operator", "--device", device]

    def training(name: str, *overrides: str) -> list[str]:
        return [PYTHON, "train.py", f"hydra.run.dir={out / 'runs' / name}", *overrides]

    def benchmark(name: str, *options: str) -> Step:
        sizes = ["--shapes", "1x2x4x8", "--repetitions", "1"] if tiny else ["--shapes", *SHAPES]
        command = [*operator, *sizes, *options, "--out", str(out / name)]
        return Step(name, 3, command, f"{name}.md")

    def network(what: str, minutes: float) -> Step:
        command = [PYTHON, "-m", "benchmarks.gpu_network", what, "--device", device]
        options = ["--out", str(out / f"{what}.md"), *(["--tiny"] if tiny else [])]
        return Step(what, minutes, command + options, f"{what}.md")

    small = ["debug=fast", "model.width=4", "data.train.count=4", "trainer=cpu"]
    plan = [Step("environment", 1, [PYTHON, "-c", ENVIRONMENT])]
    if shutil.which("nvidia-smi"):
        plan.append(Step("nvidia-smi", 1, ["nvidia-smi"]))
    plan += [
        Step("kernel_tests", 4, [*tests, "tests/ops", *_gpu_tests(tiny, "not sizes")]),
        benchmark("operator"),
        network("training", 3),
        network("frames", 5),
        benchmark("operator_channels_last", "--channels-last"),
        Step("default_training", 6, training("default", *(small if tiny else ["trainer=gpu"]))),
        Step("all_gpu_tests", 10, [*tests, *_gpu_tests(tiny, "test_both_devices")]),
    ]
    if shutil.which("compute-sanitizer") and not tiny:
        for tool in ("memcheck", "racecheck"):
            case = [*tests, "tests/ops/test_kernels.py", "-m", "gpu or not gpu", "-k", "thin_maps"]
            plan.append(Step(tool, 4, ["compute-sanitizer", "--tool", tool, *case]))
    if not tiny and _devices() > 1:
        ddp = training("ddp", "trainer=ddp", "trainer.devices=2", "trainer.max_steps=200")
        plan.append(Step("ddp", 5, [*ddp, "logger=wandb", "logger.offline=true"]))
    if not tiny:
        tune = [*operator, "--tune", str(out / "tiles.json")]
        plan.append(Step("tune", 20, tune))
        release = ["experiment=release", "trainer=gpu", "data.batch_size=16"]
        plan.append(Step("release_training", 600, training("release", *release)))
    return plan


def _gpu_tests(tiny: bool, chosen: str) -> list[str]:
    if tiny:  # they skip on this machine; that they are collected is all that can be tried
        return ["tests/ops/test_kernels.py", "-m", "gpu", "-k", "test_both_devices"]
    return ["-m", "gpu", *(["-k", chosen] if "not" in chosen else [])]


def _devices() -> int:
    import torch

    return torch.cuda.device_count()


def run(step: Step, out: Path, limit: float) -> Result:
    """Run a step for at most ``limit`` seconds; its output goes to a file."""
    start = time.monotonic()
    with (out / f"{step.name}.log").open("w", encoding="utf-8") as log:
        try:
            done = subprocess.run(
                step.command, stdout=log, stderr=subprocess.STDOUT, timeout=limit, check=False
            )
            # 5: pytest had nothing to run, as on a machine without a GPU.
            status = "ok" if done.returncode in (0, 5) else "failed"
        except subprocess.TimeoutExpired:
            status = "out of time"
    return Result(status, time.monotonic() - start)


def report(results: dict[str, Result], plan: list[Step], out: Path) -> str:
    """Assemble the report from what the steps wrote."""
    lines = ["# GPU report", "", "| step | status | seconds |", "|---|---|---:|"]
    for step in plan:
        result = results.get(step.name, Result("not run", 0))
        lines.append(f"| {step.name} | {result.status} | {result.seconds:.0f} |")
    for step in plan:
        if step.name not in results:
            continue
        table, log = out / (step.table or ""), out / f"{step.name}.log"
        lines += ["", f"## {step.name}", "", f"`{' '.join(step.command)[:200]}`", ""]
        if step.table and table.exists():
            lines.append(table.read_text("utf-8").rstrip())
        elif log.exists():
            tail = log.read_text("utf-8", errors="replace").splitlines()[-25:]
            lines += ["```", *tail, "```"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what fits into the minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    state = out / "steps.json"
    saved = json.loads(state.read_text("utf-8")) if state.exists() else {}
    results = {name: Result(**each) for name, each in saved.items()}
    plan = steps(arguments.device, out)
    end = time.monotonic() + 60 * arguments.minutes
    for step in plan:
        left = end - time.monotonic()
        if step.name in results and results[step.name].status == "ok":
            continue
        if left < min(30, 60 * step.minutes):
            break
        limit = min(left, 60 * step.minutes * (5 if arguments.device == "cpu" else 1))
        print(f"{step.name}: at most {limit:.0f} s", flush=True)
        results[step.name] = run(step, out, limit)
        content = {name: asdict(each) for name, each in results.items()}
        state.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        (out / "report.md").write_text(report(results, plan, out), "utf-8")
        print(f"{step.name}: {results[step.name].status}", flush=True)
    print(out / "report.md")
    return int(any(each.status == "failed" for each in results.values()))


if __name__ == "__main__":
    sys.exit(main())
