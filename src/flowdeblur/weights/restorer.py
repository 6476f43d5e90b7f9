"""A network as other programs call it: one tensor in, one tensor out."""

from __future__ import annotations

import torch
import torch.fx.experimental._config
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from flowdeblur.types import Network

_TRACED_SHAPE = (2, 96, 160)  # batch, height, width: any but 1


class Restorer(nn.Module):
    """A network between float32 tensors.

    Args:
        network: computes in the type of its weights.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        # Frozen, as an exported program has no gradients: it calls only the operator's kernels.
        self.network = network.eval().requires_grad_(False)
        self.frames = len(network.frame_offsets)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore frames (B, T, 3, H, W) in [0, 1] to (B, 3, H, W), not clamped."""
        dtype = next(self.network.parameters()).dtype
        restored: Tensor = self.network(frames.to(dtype), keep_rnn_weights=False).restored
        return restored.float()

    def trace(self) -> ExportedProgram:
        """Trace the network; batch, height and width stay open."""
        batch, height, width = _TRACED_SHAPE
        example = torch.rand(batch, self.frames, 3, height, width)
        sizes = {0: Dim.DYNAMIC, 3: Dim.DYNAMIC, 4: Dim.DYNAMIC}
        # Else the program would refuse a batch of one, and sizes that are multiples of 64.
        every_size = torch.fx.experimental._config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
        with every_size, torch.no_grad():
            program = torch.export.export(self, (example,), dynamic_shapes=(sizes,))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names the folders of the machine that exports
        return program
