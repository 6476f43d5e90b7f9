"""Operators that stand alone: the spatially variant RNN and backward warping."""

from ._reference import spatially_variant_rnn_reference
from .spatially_variant_rnn import spatially_variant_rnn
from .warp import backward_warp, inside

__all__ = ["backward_warp", "inside", "spatially_variant_rnn", "spatially_variant_rnn_reference"]
