"""Triton kernels of the spatially variant RNN; ``_cuda.py`` launches them.

Two ways to follow a line. A *walk* takes one step after the other, neighbouring lines in parallel
lanes of a program. A *scan* keeps stretches of a line in registers and composes them: within a
stretch step by step, between stretches by ``tl.associative_scan``.

The gradient of the features is a sum over four directions. It is added up in a fixed order, without
atomics.

Names: f features, w weights, h states, g gradient of the states, gf and gw gradients of f and w,
total the sum for gf so far. STATE is the type of states. Offsets of planes have 64 bits, those
within a plane 32.
"""
