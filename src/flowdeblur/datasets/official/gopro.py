"""GoPro (Nah et al., CVPR 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from flowdeblur.datasets.official.split import OfficialSplit
from flowdeblur.datasets.published import Published

_SOURCE = ("GOPRO_Large.zip", "https://seungjunnah.github.io/Datasets/gopro")
_SIZE = (720, 1280)
_TRAIN = {
    "GOPR0372_07_00": 100, "GOPR0372_07_01": 75, "GOPR0374_11_00": 150, "GOPR0374_11_01": 80,
    "GOPR0374_11_02": 100, "GOPR0374_11_03": 48, "GOPR0378_13_00": 110, "GOPR0379_11_00": 100,
    "GOPR0380_11_00": 60, "GOPR0384_11_01": 100, "GOPR0384_11_02": 100, "GOPR0384_11_03": 100,
    "GOPR0384_11_04": 100, "GOPR0385_11_00": 100, "GOPR0386_11_00": 100, "GOPR0477_11_00": 80,
    "GOPR0857_11_00": 100, "GOPR0868_11_01": 100, "GOPR0868_11_02": 100, "GOPR0871_11_01": 100,
    "GOPR0881_11_00": 100, "GOPR0884_11_00": 100,
}  # fmt: skip
_TEST = {
    "GOPR0384_11_00": 100, "GOPR0384_11_05": 100, "GOPR0385_11_01": 100, "GOPR0396_11_00": 100,
    "GOPR0410_11_00": 134, "GOPR0854_11_00": 100, "GOPR0862_11_00": 77, "GOPR0868_11_00": 100,
    "GOPR0869_11_00": 100, "GOPR0871_11_00": 100, "GOPR0881_11_01": 100,
}  # fmt: skip
_FOLDERS = {"linear": "blur", "gamma": "blur_gamma"}


@dataclass(frozen=True)
class GoPro(OfficialSplit):
    """GoPro: 22 videos with 2103 pairs for training, 11 with 1111 for testing.

    Attributes:
        blur: which of the two published inputs. "linear" (folder ``blur``) averages the frames as
            they are: what MPRNet, Restormer, NAFNet and CDVD-TSP report on. "gamma" (folder
            ``blur_gamma``) averages them in linear light (gamma 2.2): the data set's own paper.
    """

    split: Literal["train", "test"]
    blur: Literal["linear", "gamma"] = "linear"

    splits: ClassVar = {
        "train": Published.by_name(_TRAIN, *_SOURCE, _SIZE),
        "test": Published.by_name(_TEST, *_SOURCE, _SIZE),
    }

    @property
    def layout(self) -> tuple[str, str]:
        """As in the archive, below its folder GOPRO_Large."""
        return f"{self.split}/*/{_FOLDERS[self.blur]}", f"{self.split}/*/sharp"
