"""The networks as plain ``nn.Module``: no Lightning, no Hydra, no configuration objects."""

from flowdeblur.networks.coupling import Concatenation, Coupling, SpatiallyVariantRNN, Uncoupled
from flowdeblur.networks.deblurring import DeblurringSubnet, DecoderCoupled, EncoderCoupled
from flowdeblur.networks.flow import FlowSubnet
from flowdeblur.networks.flow_guided import FlowGuidedDeblurring

__all__ = [
    "Concatenation",
    "Coupling",
    "DeblurringSubnet",
    "DecoderCoupled",
    "EncoderCoupled",
    "FlowGuidedDeblurring",
    "FlowSubnet",
    "SpatiallyVariantRNN",
    "Uncoupled",
]
