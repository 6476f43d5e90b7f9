"""Published networks that this suite compares with, one file each; see ``docs/models.md``."""

from flowdeblur.networks.peers.dbcpenet import DBCPeNet
from flowdeblur.networks.peers.dbn import DBN
from flowdeblur.networks.peers.deblurgan import DeblurGAN
from flowdeblur.networks.peers.estrnn import ESTRNN
from flowdeblur.networks.peers.nafnet import NAFNet
from flowdeblur.networks.peers.nah import Nah
from flowdeblur.networks.peers.ovd import OVD
from flowdeblur.networks.peers.peer import Peer
from flowdeblur.networks.peers.srn import SRN
from flowdeblur.networks.peers.svrnn import SVRNN

__all__ = ["DBN", "ESTRNN", "OVD", "SRN", "SVRNN", "DBCPeNet", "DeblurGAN", "NAFNet", "Nah", "Peer"]
