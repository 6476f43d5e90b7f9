"""Feed hostile files and arguments to the commands, and report answers that are not proper.

    python -m benchmarks.hostile --cases 1000 --seed 1 --out benchmarks/results/hostile.md
    python -m benchmarks.hostile --seed 1 --only 17        # one case again, with its output

A proper answer is status 0, 1 or 2 within the limits of time and memory. After 1 and 2 there is one
line that begins with "error:" (or the usage of argparse). After 0 the output exists, after 2 it
does not, and no partial file is left. Every case runs in a fork of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmarks.hostile_cases import FAMILIES, Case, as_text, generate, make_sound_files

from flowdeblur.cli import main as flowdeblur_main


@dataclass(frozen=True)
class Limits:
    """What a case may use: seconds, seconds of a processor, bytes of memory, bytes per file."""

    time_s: float = 120.0
    cpu_s: int = 30
    memory: int = 4 * 2**30
    file: int = 2**28


@dataclass(frozen=True)
class Answer:
    """What a command did.

    Attributes:
        status: exit status; negative for a signal, None where it ran out of time.
        errors: what it printed to the standard error.
        seconds: how long it took.
    """

    status: int | None
    errors: str
    seconds: float


def run(case: Case, work: Path, limits: Limits) -> Answer:
    """Run a case in a fork."""
    errors, start = work / ".errors", time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_command(case, errors, limits)
    status = _wait(child, start + limits.time_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # processes that it started
    if status is None:
        os.waitpid(child, 0)
    text = errors.read_bytes().decode(errors="replace") if errors.exists() else ""
    return Answer(status, text, time.monotonic() - start)


def _be_the_command(case: Case, errors: Path, limits: Limits) -> None:
    """Turn this fork into the command; never returns."""
    status = 99
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file, limits.file))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for number, place in ((0, os.devnull), (1, os.devnull), (2, str(errors))):
            os.dup2(os.open(place, os.O_RDWR | os.O_CREAT), number)
        sys.stdin, sys.stdout, sys.stderr = (open(n, m) for n, m in ((0, "r"), (1, "w"), (2, "w")))  # noqa: PTH123, SIM115
        os.chdir(errors.parent)
        torch.set_num_threads(1)
        status = flowdeblur_main(case.argv)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, deadline: float) -> int | None:
    """Exit status, negative for a signal; None at the deadline."""
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def judge(case: Case, answer: Answer, work: Path) -> str | None:
    """Say what is not proper about an answer; None if nothing is."""
    if answer.status is None:
        return "hang"
    if answer.status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "hang"
    if answer.status < 0:
        return f"signal {signal.Signals(-answer.status).name}"
    if "Traceback (most recent call last)" in answer.errors:
        return "traceback"
    if answer.status == 70:
        return "internal error"
    if answer.status not in (0, 1, 2):
        return f"status {answer.status}"
    lines = [each for each in answer.errors.splitlines() if each.startswith("error: ")]
    by_argparse = answer.errors.startswith("usage: ")
    found_something = case.argv[:2] == ["data", "verify"] or case.argv[0] == "ablate"
    if answer.status and not lines and not by_argparse and not found_something:
        return "no line that begins with error:"
    if any(".partial-" in each.name for each in work.rglob("*")):
        return "a partial file is left"
    if case.output is not None:
        if answer.status == 0 and not case.output.exists():
            return "status 0 without an output"
        resumable = case.argv[:2] == ["data", "pack"]
        if answer.status == 2 and case.output.exists() and not resumable:
            return "status 2, but something was written"
    return None


def measure(
    cases: Sequence[int], seed: int, limits: Limits
) -> tuple[int, list[tuple[Case, Answer, str]]]:
    """Run cases until they are done, or until Ctrl-C.

    Returns:
        How many were run, and those whose answers are not proper.
    """
    wrong: list[tuple[Case, Answer, str]] = []
    families = Counter[str]()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        sound = Path(folder) / "sound"
        make_sound_files(sound)
        for number in cases:
            work = Path(folder) / f"case{number}"
            work.mkdir()
            case = generate(seed, number, sound, work)
            answer = run(case, work, limits)
            problem = judge(case, answer, work)
            families[case.family] += 1
            if problem:
                wrong.append((case, answer, f"{number}: {problem}"))
                print(f"{number}: {problem}: {case.what}", file=sys.stderr)
            if len(cases) == 1:
                print(as_text(case.argv), answer.status, answer.errors, sep="\n")
            shutil.rmtree(work, ignore_errors=True)
    print(f"{dict(families)}: {len(wrong)} not proper", file=sys.stderr)
    return families.total(), wrong


def report(
    seed: int, count: int, seconds: float, limits: Limits, wrong: list[tuple[Case, Answer, str]]
) -> str:
    """Lay out the result as Markdown."""
    total = sum(FAMILIES.values())
    shares = ", ".join(f"{each.__name__} {100 * n // total} %" for each, n in FAMILIES.items())
    lines = [
        "# Hostile inputs",
        "",
        "Made by `make hostile`. A proper answer is status 0, 1 or 2 in time, one line that begins "
        "with `error:` after 1 and 2, an output after 0 and none after 2, no partial files.",
        "",
        f"- {count} cases from seed {seed} in {seconds / 60:.1f} minutes: {shares}",
        f"- limits of a case: {limits.time_s:g} s, {limits.cpu_s} s of a processor, "
        f"{limits.memory / 2**30:g} GiB",
        f"- Python {platform.python_version()}, PyTorch {torch.__version__}, "
        f"{os.cpu_count()} cores",
        f"- **not proper: {len(wrong)}**",
    ]
    if wrong:
        lines += ["", "| case and problem | what was hostile | last line |", "|---|---|---|"]
    for case, answer, problem in wrong:
        last = (answer.errors.strip().splitlines() or [""])[-1][:160]
        cells = (problem, f"{case.family}: {case.what}", last)
        lines.append(
            "| " + " | ".join(each.replace("|", "/").replace("\n", " ") for each in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of cases to run again")
    parser.add_argument("--limit-s", type=float, default=120.0, help="seconds for a case")
    parser.add_argument("--out", type=Path, help="Markdown file for the report")
    options = parser.parse_args()
    limits, start = Limits(time_s=options.limit_s), time.monotonic()
    torch.set_num_threads(1)  # threads of OpenMP would not survive a fork
    cases = options.only or range(options.cases)
    count, wrong = measure(cases, options.seed, limits)
    text = report(options.seed, count, time.monotonic() - start, limits, wrong)
    if options.out:
        options.out.write_text(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
