"""Explains how a frame was restored: flow, blur kernels, RNN weights and scores on a page."""

DUTY_CYCLE = 0.8
"""Default duty cycle (exposure / frame interval): the middle of the embedded scenes' range."""

MAX_PREVIEW = 100
"""Most frames of a preview."""
