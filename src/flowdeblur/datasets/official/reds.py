"""REDS (Nah et al., CVPR Workshops 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from flowdeblur.datasets.official.split import OfficialSplit
from flowdeblur.datasets.published import Published

REDS4 = ("000", "011", "015", "020")
"""Training clips that EDVR and its successors test on instead of the official validation clips."""

_HOME = "https://seungjunnah.github.io/Datasets/reds"


def _clips(split: str, count: int) -> Published:
    lengths = {f"{number:03d}": 100 for number in range(count)}
    archives = f"{split}_blur.zip and {split}_sharp.zip"
    return Published.by_name(lengths, archives, _HOME, (720, 1280))


@dataclass(frozen=True)
class REDS(OfficialSplit):
    """REDS: 240 clips of 100 frames for training, 30 for validation.

    The sharp frames of its 30 test clips were never published.

    Attributes:
        degradation: which of the published inputs: "blur", "blur_comp" (blur and MPEG-4) or
            "blur_jpeg".
    """

    split: Literal["train", "val"]
    degradation: Literal["blur", "blur_comp", "blur_jpeg"] = "blur"

    splits: ClassVar = {"train": _clips("train", 240), "val": _clips("val", 30)}

    @property
    def layout(self) -> tuple[str, str]:
        """As in the archives, unpacked into one folder."""
        folder = f"{self.split}/{self.split}"
        return f"{folder}_{self.degradation}/*", f"{folder}_sharp/*"
