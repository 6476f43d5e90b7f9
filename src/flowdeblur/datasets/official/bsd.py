"""BSD, the beam-splitter deblurring data set (Zhong et al., ECCV 2020 and IJCV 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from flowdeblur.datasets.official.split import OfficialSplit
from flowdeblur.datasets.published import Published

_SOURCE = ("BSD.zip", "https://github.com/zzh-tech/ESTRNN")
_SIZE = (480, 640)


@dataclass(frozen=True)
class BSD(OfficialSplit):
    """BSD: of each of three exposures 60 clips for training, 20 for validation, 20 for testing.

    Clips have 100 frames, those for testing 150. Blurry and sharp frames were taken at once by two
    cameras behind a beam splitter: the blur is real.

    Attributes:
        exposure: of the sharp and of the blurry camera, milliseconds.
    """

    split: Literal["train", "valid", "test"]
    exposure: Literal["1ms8ms", "2ms16ms", "3ms24ms"] = "3ms24ms"

    splits: ClassVar = {
        "train": Published(60, 6000, *_SOURCE, size=_SIZE),
        "valid": Published(20, 2000, *_SOURCE, size=_SIZE),
        "test": Published(20, 3000, *_SOURCE, size=_SIZE),
    }

    @property
    def layout(self) -> tuple[str, str]:
        """As in the archive, below its folder BSD."""
        folder = f"BSD_{self.exposure}/{self.split}/*"
        return f"{folder}/Blur/RGB", f"{folder}/Sharp/RGB"
