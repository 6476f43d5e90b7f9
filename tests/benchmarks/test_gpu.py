"""The script of ``make gpu``, tried without a GPU."""

from __future__ import annotations

import subprocess
import sys

import pytest
from benchmarks.gpu import Result, Step, report, run


def test_a_step_that_fails_or_takes_too_long_is_a_result(tmp_path):
    fails = Step("fails", 1, [sys.executable, "-c", "print('before'); raise SystemExit(3)"])
    assert run(fails, tmp_path, limit=30).status == "failed"
    assert (tmp_path / "fails.log").read_text() == "before\n"
    sleeps = Step("sleeps", 1, [sys.executable, "-c", "import time; time.sleep(60)"])
    assert run(sleeps, tmp_path, limit=0.5).status == "out of time"


def test_the_report_shows_tables_logs_and_what_was_not_run(tmp_path):
    plan = [Step("table", 1, ["a"], "table.md"), Step("log", 1, ["b"]), Step("rest", 1, ["c"])]
    (tmp_path / "table.md").write_text("| 1 |\n")
    (tmp_path / "log.log").write_text("last line\n")
    results = {"table": Result("ok", 2), "log": Result("failed", 3)}
    text = report(results, plan, tmp_path)
    assert "| log | failed | 3 |" in text
    assert "| rest | not run | 0 |" in text
    assert "| 1 |" in text
    assert "last line" in text


@pytest.mark.slow
def test_all_steps_at_tiny_sizes(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    text = (tmp_path / "report.md").read_text()
    assert done.returncode == 0, text
    assert "failed" not in text.split("##")[0]
    assert "| training step, float32 |" in text
    assert "| 1x2x4x8 | float32 | flowdeblur | forward |" in text
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == [str(tmp_path / "report.md")]  # nothing is left to do
