"""The tester of hostile inputs: a fixed small sample, and whether it would see a bad answer."""

from __future__ import annotations

import subprocess
import sys

import pytest
from benchmarks.hostile import Answer, Limits, judge, run
from benchmarks.hostile_cases import Case, generate, make_sound_files

from benchmarks import hostile, hostile_cases

CASE = Case("none", "nothing", ["deblur"])


@pytest.mark.parametrize(
    ("status", "errors", "problem"),
    [
        (0, "", None),
        (2, "warning: odd\nerror: a.png: is damaged\n", None),
        (2, "usage: flowdeblur deblur\nflowdeblur deblur: error: bad\n", None),
        (2, "", "no line that begins with error:"),
        (None, "", "hang"),
        (-6, "", "signal SIGABRT"),
        (1, "Traceback (most recent call last):\nerror: x", "traceback"),
        (70, "internal error: x; please report", "internal error"),
        (134, "", "status 134"),
    ],
)
def test_what_counts_as_a_proper_answer(tmp_path, status, errors, problem):
    assert judge(CASE, Answer(status, errors, 0.0), tmp_path) == problem


def test_outputs_are_looked_at(tmp_path):
    case = Case("none", "nothing", ["deblur"], tmp_path / "out.mp4")
    assert judge(case, Answer(0, "", 0.0), tmp_path) == "status 0 without an output"
    (tmp_path / "out.mp4").touch()
    error = Answer(2, "error: x", 0.0)
    assert judge(case, error, tmp_path) == "status 2, but something was written"
    (tmp_path / ".0.partial-1").touch()
    assert judge(case, Answer(0, "", 0.0), tmp_path) == "a partial file is left"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("while True: pass", "hang"),
        ("bytearray(2**31).decode()", "no line that begins|internal error|status"),
        ("os.kill(os.getpid(), 11)", "signal SIGSEGV"),
        ("raise KeyError('x')", "internal error"),
    ],
)
def test_bad_answers_are_seen(tmp_path, monkeypatch, code, problem):
    def bad(argv):
        from flowdeblur.cli.edge import guarded

        return guarded(lambda _: exec(code, {"os": __import__("os")}), argv)

    monkeypatch.setattr(hostile, "flowdeblur_main", bad)
    answer = run(CASE, tmp_path, Limits(time_s=2, memory=2**31))
    found = judge(CASE, answer, tmp_path)
    if "bytearray" in code:
        assert (answer.status, found) == (1, None)
        assert answer.errors.startswith("error: not enough memory")
    else:
        assert found == problem


def test_cases_depend_on_the_seed_and_their_number_only(tmp_path):
    make_sound_files(sound := tmp_path / "sound")
    made = []
    for attempt in range(2):
        work = tmp_path / "work"
        work.mkdir()
        case = generate(3, 0, sound, work)
        # The order in a header of safetensors is random, its length is not.
        made.append((case, {each.name: each.stat().st_size for each in work.iterdir()}))
        work.rename(tmp_path / f"work{attempt}")
    assert made[0] == made[1]
    assert sum(hostile_cases.FAMILIES.values()) == 100


def test_a_small_sample_is_answered_properly(tmp_path):
    """In a process of its own: a fork of this one may inherit locks that its threads hold."""
    report = tmp_path / "report.md"
    command = [
        sys.executable,
        "-m",
        "benchmarks.hostile",
        "--cases=8",
        "--seed=0",
        f"--out={report}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "8 cases from seed 0" in report.read_text()
    assert "**not proper: 0**" in report.read_text()
