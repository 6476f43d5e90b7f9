"""LightningModules around the two subnets: loss, metrics and optimiser, nothing else."""

from flowdeblur.tasks.deblurring import DeblurringTask
from flowdeblur.tasks.flow import FlowTask

__all__ = ["DeblurringTask", "FlowTask"]
