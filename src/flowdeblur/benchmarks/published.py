"""What the paper's Tables II and III say of the networks that this suite has."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """Published numbers of a network.

    Attributes:
        label: name in the tables.
        seconds: a 1280x720 frame on a Titan Xp, by the authors' own scripts (Table III).
        psnr: dB on the video deblurring set, DVD (Table II).
    """

    label: str
    seconds: float | None = None
    psnr: float | None = None


PUBLISHED = {
    "proposed": Published("ours", 0.20, 30.58),
    "svrnn": Published("Zhang et al. (SVRNN)", 1.4, 30.05),
    "dbn": Published("Su et al. (DBN)", 6.8, 30.05),
    "srn": Published("Tao et al. (SRN)", 2.7, 29.95),
    "ovd": Published("Kim et al. (OVD), after the ports", 0.13, 29.95),
    "nah": Published("Nah et al.", 15.0, 29.51),
    "dbcpenet": Published("Cai et al. (DBCPeNet)", None, 29.48),
    "deblurgan": Published("Kupyn et al. (DeblurGAN)", 0.68, 26.78),
    "nafnet": Published("NAFNet-32"),
    "nafnet_two_frames": Published("NAFNet-32, two frames"),
    "nafnet_22": Published("NAFNet-22, two frames"),
    "estrnn": Published("ESTRNN B15C80"),
}
"""By the name of the model's configuration; DBN's time includes the alignment of its frames."""


def published(name: str) -> Published:
    """Published numbers of a model; its own name and nothing else for other models."""
    return PUBLISHED.get(name, Published(name))
