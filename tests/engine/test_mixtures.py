"""Training on mixtures of data."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("accumulated", [1, 4])
def test_a_mixture_with_and_without_true_flow(run, tmp_path, accumulated):
    random = np.random.default_rng(0)
    for kind in ("input", "GT"):
        for frame in range(3):
            path = tmp_path / "frames" / "clip" / kind / f"{frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (80, 96, 3), dtype=np.uint8)).save(path)
    scenes = "{_target_:flowdeblur.scenes.Scenes,split:%s,count:4,size:[80,96],cache:null}"
    folders = f"{{_target_:flowdeblur.datasets.FrameFolders,root:{tmp_path / 'frames'}}}"
    status, folder = run(
        "~data.train",
        "+data.train={_target_:flowdeblur.datasets.Mixture,"
        f"sources:{{a:{folders},s:{scenes % 'train'}}},shares:{{a:0.5,s:0.5}}}}",
        *("data.batch_size=4", f"data.device_batch_size={4 // accumulated}", "task.flow_first=0"),
        *(
            "~data.val",
            f"+data.val={scenes % 'val'}",
            "~data.test",
            f"+data.test={scenes % 'test'}",
        ),
        *("trainer.max_steps=3", "trainer.log_every_n_steps=1"),
    )
    assert status == 0
    (table,) = folder.rglob("metrics.csv")
    rows = [row for row in csv.DictReader(table.open()) if row.get("train/loss")]
    assert len(rows) == 3
    assert any(float(row["train/end_point"] or 0) > 0 for row in rows)
