"""A network of your own, trained, saved and loaded: python examples/custom_model.py [OUT]."""

import sys
from pathlib import Path

from torch import Tensor, nn

from flowdeblur.types import Restoration


class Plain(nn.Module):
    """Two convolutions over the current and the next frame."""

    frame_offsets, flow_offsets, current_index = (0, 1), (), 0

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1)
        )

    def forward(self, frames: Tensor, *, keep_rnn_weights: bool = False) -> Restoration:
        """Restore the current frame of (B, 2, 3, H, W)."""
        return Restoration(frames[:, 0] + self.layers(frames.flatten(1, 2)))


if __name__ == "__main__":
    import flowdeblur
    from flowdeblur.cli import main

    out = Path(sys.argv[1] if len(sys.argv) > 1 else "examples-out").absolute()
    options = out / "conf" / "model" / "plain.yaml"
    options.parent.mkdir(parents=True, exist_ok=True)
    options.write_text("{_target_: custom_model.Plain, width: 8}")
    sys.modules["custom_model"] = sys.modules["__main__"]  # this file is no installed package
    Plain.__module__ = "custom_model"
    settings = ["debug=fast", "trainer=cpu", "data.train.count=4", f"hydra.run.dir={out / 'plain'}"]
    if status := main(["train", "--config-dir", str(out / "conf"), "model=plain", *settings]):
        sys.exit(status)
    network = flowdeblur.load(out / "plain", allow=["custom_model"])
    print(type(network).__name__, "reads the frames", network.frame_offsets)
