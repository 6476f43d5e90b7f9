"""The networks as plain ``nn.Module``: no Lightning, no Hydra, no configuration objects."""

from flowdeblur.networks.coupling import Concatenation, Coupling, SpatiallyVariantRNN, Uncoupled
from flowdeblur.networks.deblurring import DeblurringSubnet, DecoderCoupled, EncoderCoupled
from flowdeblur.networks.flow import FlowSubnet
from flowdeblur.networks.flow_guided import FlowGuidedDeblurring
from flowdeblur.networks.peers import DBN, ESTRNN, OVD, SRN, SVRNN, DBCPeNet, DeblurGAN, NAFNet, Nah

__all__ = [
    "DBN",
    "ESTRNN",
    "OVD",
    "SRN",
    "SVRNN",
    "Concatenation",
    "Coupling",
    "DBCPeNet",
    "DeblurGAN",
    "DeblurringSubnet",
    "DecoderCoupled",
    "EncoderCoupled",
    "FlowGuidedDeblurring",
    "FlowSubnet",
    "NAFNet",
    "Nah",
    "SpatiallyVariantRNN",
    "Uncoupled",
]
