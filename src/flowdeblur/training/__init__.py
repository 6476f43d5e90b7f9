"""LightningModules around the two subnets: loss, metrics and optimiser, nothing else."""

from flowdeblur.training.deblurring import DeblurringTask
from flowdeblur.training.flow import FlowTask

__all__ = ["DeblurringTask", "FlowTask"]
