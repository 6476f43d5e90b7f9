"""Train a variant of the network and read its scores: python examples/train_variant.py [OUT]."""

import json
import sys
from pathlib import Path

from flowdeblur.cli import main

out = Path(sys.argv[1] if len(sys.argv) > 1 else "examples-out")
run = out / "without_flow"

# The same as `flowdeblur train ...`; drop debug=fast for a real run.
status = main(
    ["train", "ablation=without_flow", "model=small", "debug=fast", "trainer=cpu"]
    + ["data.train.count=4", "data.val.count=2", "data.test.count=2"]
    + [f"hydra.run.dir={run}"]
)
if status:
    sys.exit(status)

metrics = json.loads((run / "metrics.json").read_text())
print(f"{metrics['steps']} steps, {metrics['parameters']:,} parameters")
for name in ("psnr_blurry", "psnr", "ssim"):
    print(f"{name:12} {metrics['test'][name]:.3f}")
