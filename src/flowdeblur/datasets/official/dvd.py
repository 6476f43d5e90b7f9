"""DVD, the video deblurring data set (Su et al., CVPR 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from flowdeblur.datasets.official.split import OfficialSplit
from flowdeblur.datasets.published import Published

_SOURCE = (
    "DeepVideoDeblurring_Dataset.zip",
    "http://www.cs.ubc.ca/labs/imager/tr/2017/DeepVideoDeblurring",
)
_SIZE = (720, 1280)
_TRAIN = {
    "720p_240fps_1": 100, "720p_240fps_3": 100, "720p_240fps_5": 100, "720p_240fps_6": 100,
    "C0036": 63, "C0041": 229, "GOPR9633": 35, "GOPR9636": 48,
    "GOPR9641": 137, "GOPR9642": 83, "GOPR9643": 97, "GOPR9645": 65,
    "GOPR9648": 88, "GOPR9652": 71, "IMG_0001": 100, "IMG_0004": 100,
    "IMG_0005": 100, "IMG_0008": 100, "IMG_0009": 41, "IMG_0010": 100,
    "IMG_0011": 100, "IMG_0012": 100, "IMG_0013": 100, "IMG_0014": 100,
    "IMG_0015": 100, "IMG_0017": 100, "IMG_0019": 100, "IMG_0022": 100,
    "IMG_0023": 100, "IMG_0024": 100, "IMG_0025": 100, "IMG_0026": 100,
    "IMG_0028": 100, "IMG_0029": 100, "IMG_0034": 100, "IMG_0035": 100,
    "IMG_0036": 100, "IMG_0038": 100, "IMG_0040": 100, "IMG_0041": 100,
    "IMG_0042": 100, "IMG_0043": 100, "IMG_0044": 100, "IMG_0045": 61,
    "IMG_0046": 100, "IMG_0047": 100, "IMG_0051": 100, "IMG_0053": 100,
    "IMG_0054": 100, "IMG_0055": 100, "IMG_0056": 100, "IMG_0058": 100,
    "IMG_0150": 50, "IMG_0151": 60, "IMG_0153": 120, "IMG_0155": 78,
    "IMG_0164": 46, "IMG_0173": 70, "IMG_0180": 50, "IMG_0183": 113,
    "IMG_0200": 103,
}  # fmt: skip
_TEST = {
    "720p_240fps_2": 100, "IMG_0003": 100, "IMG_0021": 100, "IMG_0030": 100,
    "IMG_0031": 100, "IMG_0032": 100, "IMG_0033": 100, "IMG_0037": 100,
    "IMG_0039": 100, "IMG_0049": 100,
}  # fmt: skip


@dataclass(frozen=True)
class DVD(OfficialSplit):
    """DVD: 61 videos with 5708 pairs for training, 10 with 1000 for testing.

    All are in one folder. The test video IMG_0049 is portrait, 1280 x 720 pixels.
    """

    split: Literal["train", "test"]

    splits: ClassVar = {
        "train": Published.by_name(_TRAIN, *_SOURCE, _SIZE),
        "test": Published.by_name(_TEST, *_SOURCE, _SIZE),
    }
    one_folder: ClassVar = True

    @property
    def layout(self) -> tuple[str, str]:
        """As in the archive, below its folder."""
        return "quantitative_datasets/*/input", "quantitative_datasets/*/GT"
