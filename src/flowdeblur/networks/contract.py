"""Check that an object keeps the contract of :class:`flowdeblur.types.Network`."""

from __future__ import annotations

from typing import Any

from torch import nn

from flowdeblur.errors import UserError
from flowdeblur.types import Network


def require_network(candidate: Any) -> Network:
    """Return ``candidate`` if it can be trained, saved and applied as a network.

    Raises:
        UserError: names the class and what it lacks.

    Example:
        >>> from flowdeblur.weights import load
        >>> require_network(load("small")).frame_offsets
        (0, 1)
    """
    name = f"{type(candidate).__module__}.{type(candidate).__qualname__}"
    if not isinstance(candidate, nn.Module):
        raise UserError(f"{name}: is not a torch.nn.Module")
    for attribute in ("frame_offsets", "flow_offsets", "current_index"):
        if not hasattr(candidate, attribute):
            raise UserError(f"{name}: has no attribute {attribute}; see flowdeblur.types.Network")
    network: Network = candidate  # type: ignore[assignment]
    frames, flows = network.frame_offsets, network.flow_offsets
    if 0 not in frames or network.current_index != frames.index(0):
        raise UserError(
            f"{name}: current_index={network.current_index} must be the position of 0 in "
            f"frame_offsets={frames}"
        )
    if not set(flows) <= set(frames) - {0}:
        raise UserError(
            f"{name}: flow_offsets={flows} must be among the neighbours in frame_offsets={frames}"
        )
    return network
