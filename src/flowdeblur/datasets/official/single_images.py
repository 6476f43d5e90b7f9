"""Data sets of single images: HIDE (Shen et al., ICCV 2019), RealBlur (Rim et al., ECCV 2020).

An image is a clip of one frame, so that a network that reads neighbours gets the same image
again: it sees no motion. That is good for scoring a network on images, not for training it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from flowdeblur.datasets.clips import Clip, FrameSequence, check_choice
from flowdeblur.datasets.official.whole import demand_whole
from flowdeblur.datasets.published import Published
from flowdeblur.errors import UserError
from flowdeblur.video.images import list_images

_HIDE = ("HIDE_dataset.zip", "https://github.com/joanshen0508/HA_deblur")
_REALBLUR = ("RealBlur.tar.gz", "https://github.com/rimchang/RealBlur")
_REALBLUR_FOLDERS = {
    "J": "RealBlur-J_ECC_IMCORR_centroid_itensity_ref",
    "R": "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
}


@dataclass(frozen=True)
class SingleImages(ABC):
    """A split of a data set of images that have no neighbours.

    What is trained on may be a part of the published images; what is scored, or chosen from by
    ``first`` and ``every``, may not.

    Attributes:
        root: folder of the data set.
        split: which of the published ones.
        first: number of the first image to take, from 0.
        every: take one image in so many.
    """

    root: str
    split: Literal["train", "test"]
    first: int = 0
    every: int = 1

    splits: ClassVar[Mapping[str, Published]]

    def __post_init__(self) -> None:
        if self.split not in self.splits:
            raise UserError(f"split: expected {' or '.join(self.splits)}, got {self.split!r}")

    @property
    def published(self) -> Published | None:
        """What the authors say is in the split."""
        return self.splits[self.split]

    @property
    @abstractmethod
    def layout(self) -> tuple[str, ...]:
        """Patterns of what must be below the root."""

    @abstractmethod
    def listing(self) -> list[Clip]:
        """List the images as they are, each as a clip of one frame.

        Raises:
            UserError: the root is missing, or a list of images cannot be read.
        """

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Find the images and compare their names and sizes.

        Raises:
            UserError: the root is missing or contains no images, images to be scored are missing,
                a pair is not complete, or no image is chosen.
        """
        check_choice(self.first, self.every)
        clips = self.listing()
        if not clips:
            raise UserError(
                f"{self.root}: contains no images; looked for {self.layout[0]}; set data.root"
            )
        if self.split != "train" and self.published is not None:
            demand_whole(f"{self.root}: split {self.split}", clips, self.published)
        chosen = clips[self.first :: self.every]
        if not chosen:
            raise UserError(
                f"data.*.first={self.first}: must be below {len(clips)}, the number of images"
            )
        for clip in chosen:
            clip.demand_pairs()
        return FrameSequence(chosen, frame_offsets)

    def _folder(self) -> Path:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; set data.root to the folder of the data set")
        return root


@dataclass(frozen=True)
class HIDE(SingleImages):
    """HIDE: images of people, 6397 pairs for training, 2025 for testing; made as GoPro's are."""

    splits: ClassVar = {
        "train": Published(6397, 6397, *_HIDE),
        "test": Published(2025, 2025, *_HIDE),
    }

    @property
    def layout(self) -> tuple[str, ...]:
        """As in the archive, below its folder HIDE_dataset."""
        return ("train" if self.split == "train" else "test/*", "GT")

    def listing(self) -> list[Clip]:
        """List the images; the sharp ones of both splits are in one folder."""
        root = self._folder()
        blurry, sharp = self.layout
        there = _by_name(root / sharp)
        return [
            Clip(
                folder.name,
                (folder, root / sharp),
                {name: path},
                {name: there[name]} if name in there else {},
            )
            for folder in sorted(root.glob(blurry))
            for name, path in _by_name(folder).items()
        ]


@dataclass(frozen=True)
class RealBlur(SingleImages):
    """RealBlur: real blur in dim light, 3758 pairs of 182 scenes for training, 980 of 50 to test.

    Attributes:
        subset: "J", the camera's JPEG images, or "R", developed from its raw images.
    """

    subset: Literal["J", "R"] = "J"

    splits: ClassVar = {
        "train": Published(3758, 3758, *_REALBLUR),
        "test": Published(980, 980, *_REALBLUR),
    }

    @property
    def layout(self) -> tuple[str, ...]:
        """As in the archive: a list of pairs, and the folder that contains them."""
        return f"RealBlur_{self.subset}_{self.split}_list.txt", _REALBLUR_FOLDERS[self.subset]

    def listing(self) -> list[Clip]:
        """List the pairs that the authors' list names: the sharp image first, then the blurry."""
        root = self._folder()
        path = root / self.layout[0]
        try:
            lines = path.read_text().splitlines()
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror}); unpack {_REALBLUR[0]} again"
            ) from None
        except UnicodeDecodeError:
            raise UserError(f"{path}: is no text; unpack {_REALBLUR[0]} again") from None
        clips = []
        for number, line in enumerate(filter(str.strip, lines), start=1):
            files = [root / each for each in line.split()]
            if len(files) != 2:
                raise UserError(
                    f"{path}: line {number} is not two files; unpack {_REALBLUR[0]} again"
                )
            sharp, blurry = files
            name = blurry.stem.rpartition("_")[2]
            clips.append(
                Clip(
                    blurry.parents[1].name,
                    (blurry.parent, sharp.parent),
                    {name: blurry},
                    {name: sharp},
                )
            )
        return clips


def _by_name(folder: Path) -> dict[str, Path]:
    try:
        return {path.stem: path for path in list_images(folder)}
    except UserError:
        return {}
