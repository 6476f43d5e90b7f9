"""Score weights under two protocols: python examples/evaluate_weights.py [OUT]."""

import json
import sys
from pathlib import Path

from flowdeblur.cli import main

out = Path(sys.argv[1] if len(sys.argv) > 1 else "examples-out") / "scores"
status = main(
    ["evaluate", "weights=small", "data=scenes_mild", "data.test.count=4", "device=cpu"]
    + ["protocols=[all_frames,gopro]", "same_frame=true", f"hydra.run.dir={out}"]
)
if status:
    sys.exit(status)

for name, scores in json.loads((out / "metrics.json").read_text())["protocols"].items():
    print(name, {method: round(each["psnr"], 2) for method, each in scores["scores"].items()})
