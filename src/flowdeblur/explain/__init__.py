"""Why a frame was restored as it was: flow, blur kernels, RNN weights and scores on a page."""

DUTY_CYCLE = 0.8
"""Exposure / frame interval where nothing is known: the middle of the embedded scenes' range."""
