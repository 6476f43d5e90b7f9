"""LightningModules: training step, scores and optimizer of each task."""

from flowdeblur.training.deblurring import DeblurringTask
from flowdeblur.training.flow import FlowTask

__all__ = ["DeblurringTask", "FlowTask"]
