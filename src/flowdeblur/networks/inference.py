"""Run a network on frames, and say in one line what went wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from flowdeblur.errors import RuntimeFailureError
from flowdeblur.types import Network, Restoration


@torch.inference_mode()
def infer(network: Network, frames: Tensor) -> Restoration:
    """Restore without gradients.

    Args:
        network: in evaluation mode, on the device of ``frames``.
        frames: (B, T, 3, H, W), RGB in [0, 1].

    Returns:
        What the network returns, without ``rnn_weights``.

    Raises:
        RuntimeFailureError: the restored frame is not finite, or the device's memory does not
            suffice.
    """
    try:
        output = network(frames, keep_rnn_weights=False)
    except torch.OutOfMemoryError:
        height, width = frames.shape[-2:]
        raise RuntimeFailureError(
            f"{frames.device} has too little memory for {width}x{height} frames; use the CPU"
        ) from None
    if not output.restored.isfinite().all():
        raise RuntimeFailureError("the network's output is not finite; its weights are damaged")
    return output
