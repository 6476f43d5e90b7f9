"""Figures of flow, blur kernels, RNN weights and restored frames."""
