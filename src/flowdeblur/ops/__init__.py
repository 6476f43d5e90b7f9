"""The spatially variant RNN and backward warping."""

from flowdeblur.ops._reference import spatially_variant_rnn_reference
from flowdeblur.ops.spatially_variant_rnn import spatially_variant_rnn
from flowdeblur.ops.warp import backward_warp, inside

__all__ = ["backward_warp", "inside", "spatially_variant_rnn", "spatially_variant_rnn_reference"]
