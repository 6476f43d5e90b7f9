"""`wandb agent` over a sweep file, with a stand-in for W&B's server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.engine.wandb_server import serving

ROOT = Path(__file__).parents[2]
TWO_PROCESSES = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]
TINY = [
    "debug=fast",
    "model.width=4",
    "data.train.count=6",
    "data.val.count=2",
    "data.test.count=2",
]


@pytest.mark.slow
def test_an_agent_runs_rows_of_table_4_on_two_processes(tmp_path):
    sweep = yaml.safe_load((ROOT / "sweeps" / "table4.yaml").read_text())
    sweep["command"][3:3] = [*TWO_PROCESSES, *TINY, f"data.train.cache={tmp_path / 'scenes'}"]
    shutil.copy(ROOT / "train.py", tmp_path)
    commands = [
        {
            "type": "run",
            "run_id": f"run{seed}",
            "program": "train.py",
            "args": {"seed": {"value": seed}, "ablation": {"value": row}},
        }
        for seed, row in ((0, "ours"), (1, "without_flow"))
    ]
    with serving(yaml.safe_dump(sweep), commands) as server:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_MODE": "online",
            "HOME": str(tmp_path),
        }
        agent = [sys.executable, "-m", "wandb", "agent", "--forward-signals", "e/p/s"]
        done = subprocess.run(
            agent, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        for run, seed in (("run0", 0), ("run1", 1)):
            assert (tmp_path / "runs" / run / "metrics.json").exists(), printed
            metrics = json.loads((tmp_path / "runs" / run / "metrics.json").read_text())
            assert metrics["steps"] == 4, printed
            assert metrics["device"].startswith("2 x")
            config = yaml.safe_load((tmp_path / "runs" / run / "config.yaml").read_text())
            assert config["seed"] == seed
        # Two processes are one run of W&B, which has the sweep's number and says what it is.
        assert server.runs.keys() == {"run0", "run1"}
        assert "s" in [each.get("sweep") for each in server.runs["run0"]], server.runs["run0"]
        assert "compact-scenes-ours-seed0" in [e["displayName"] for e in server.runs["run0"]]
        assert [each["input"]["artifactTypeName"] for each in server.artifacts] == ["model"] * 2
        assert any('"val/psnr"' in line for line in server.files["wandb-history.jsonl"])
