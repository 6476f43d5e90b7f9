"""A network as other programs call it: one tensor in, one tensor out."""

from __future__ import annotations

import torch
import torch.fx.experimental._config
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from flowdeblur.types import Network

_TRACED_SHAPE = (2, 96, 160)  # batch, height, width: any but 1


class Restorer(nn.Module):
    """A network between float32 tensors: frames (B, T, 3, H, W) in, restored (B, 3, H, W) out.

    Args:
        network: computes in the type of its weights.
    """

    input, output = "frames", "restored"
    """Names of the tensors in exported files."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        # Frozen, as an exported program has no gradients: it calls only the operator's kernels.
        self.network = network.eval().requires_grad_(False)
        self.frames = len(network.frame_offsets)

    @property
    def open_sizes(self) -> dict[int, str]:
        """Dimensions of the input whose size stays open, with their names."""
        return {0: "batch", 3: "height", 4: "width"}

    def forward(self, frames: Tensor) -> Tensor:
        """Restore frames (B, T, 3, H, W) in [0, 1] to (B, 3, H, W), not clamped."""
        restored: Tensor = self.network(frames.to(self._dtype), keep_rnn_weights=False).restored
        return restored.float()

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def pack(self, frames: Tensor) -> Tensor:
        """Bring frames (B, T, 3, H, W) into the layout of the input."""
        return frames

    def trace(self) -> ExportedProgram:
        """Trace the network; the sizes in ``open_sizes`` stay open."""
        batch, height, width = _TRACED_SHAPE
        batch = batch if 0 in self.open_sizes else 1
        example = self.pack(torch.rand(batch, self.frames, 3, height, width))
        sizes = dict.fromkeys(self.open_sizes, Dim.DYNAMIC)
        # Else the program would refuse a batch of one, and sizes that are multiples of 64.
        every_size = torch.fx.experimental._config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
        with every_size, torch.no_grad():
            program = torch.export.export(self, (example,), dynamic_shapes=(sizes,))
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names the folders of the machine that exports
        return program


class PlanesRestorer(Restorer):
    """The same between image planes: (1, 3 T, H, W) in, (1, 3, H, W) out.

    Plug-ins of video programs expect four dimensions, a batch of one and these names.
    """

    input, output = "input", "output"

    @property
    def open_sizes(self) -> dict[int, str]:
        """Dimensions of the input whose size stays open, with their names."""
        return {2: "height", 3: "width"}

    def forward(self, planes: Tensor) -> Tensor:
        """Restore the frames in the planes (1, 3 T, H, W), RGB of each frame after the other."""
        # Cast first: converters then see that this and the network's own reshaping cancel.
        return super().forward(torch.unflatten(planes.to(self._dtype), 1, (self.frames, 3)))

    def pack(self, frames: Tensor) -> Tensor:
        """Bring frames (1, T, 3, H, W) into the layout of the input."""
        return frames.flatten(1, 2)
