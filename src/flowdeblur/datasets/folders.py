"""Clips as folders of images: blurry frames in one, their sharp versions in another.

A blurry frame and its sharp version have the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowdeblur.datasets.clips import Clip, ClipChoice, FrameSequence
from flowdeblur.datasets.published import Published
from flowdeblur.errors import UserError
from flowdeblur.video.images import list_images


@dataclass(frozen=True)
class FrameFolders(ClipChoice):
    """All clips below a folder.

    Attributes:
        root: the folder.
        blurry: pattern of the folders with blurry frames, below ``root``; its one ``*`` is the name
            of a clip.
        sharp: the same for the sharp frames.
    """

    root: str
    blurry: str = "*/input"
    sharp: str = "*/GT"

    def __post_init__(self) -> None:
        for name in ("blurry", "sharp"):
            pattern = getattr(self, name)
            if pattern.count("*") != 1 or Path(pattern).is_absolute():
                raise UserError(
                    f"{name}={pattern}: expected a folder below data.root with one *, the name of "
                    "a clip, such as */input"
                )

    @property
    def published(self) -> Published | None:
        """None: the contents of these folders are not published."""
        return None

    @property
    def layout(self) -> tuple[str, ...]:
        """Patterns of what must be below the root."""
        return self.blurry, self.sharp

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Find the clips and compare their names, numbers and sizes.

        Frames are decoded when they are asked for.

        Raises:
            UserError: the root is missing or contains no clips, or blurry and sharp frames do not
                belong together.
        """
        return self.sequence(self.pairs(), frame_offsets)

    def pairs(self) -> list[Clip]:
        """List the clips, whose frames come in pairs of one size.

        Raises:
            UserError: as :meth:`open`.
        """
        names = self._found()
        missing = sorted(set(self.clips or ()) - set(names))
        if missing:
            raise UserError(
                f"{self.root}: {len(missing)} of {len(self.clips or ())} clips are missing, "
                f"{missing[0]} for one; looked for {self.blurry}; set data.root, "
                "or name the clips that you have (clips)"
            )
        if not names:
            raise UserError(
                f"{self.root}: contains no clips; looked for {self.blurry}; set data.root"
            )
        clips = [self._clip(name, _all_images) for name in names]
        for clip in clips:
            clip.demand_pairs()
        return clips

    def listing(self) -> list[Clip]:
        """List the clips as they are; frames may be missing, even all of one kind.

        Raises:
            UserError: the root is missing.
        """
        return [self._clip(name, _any_images) for name in self._found()]

    def _found(self) -> list[str]:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; set data.root to the folder of the data set")
        before, _, after = self.blurry.partition("*")
        found = sorted(
            each.relative_to(root).as_posix().removeprefix(before).removesuffix(after)
            for each in root.glob(self.blurry)
            if each.is_dir()
        )
        return [
            name
            for name in found
            if name not in self.exclude and (self.clips is None or name in self.clips)
        ]

    def _clip(self, name: str, images: Callable[[Path], dict[str, Path]]) -> Clip:
        root = Path(self.root).expanduser()
        blurry, sharp = (root / pattern.replace("*", name) for pattern in (self.blurry, self.sharp))
        return Clip(name, (blurry, sharp), images(blurry), images(sharp))


def _all_images(folder: Path) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in images:
            raise UserError(f"{path}: is one frame with {images[path.stem]}; delete one of them")
        images[path.stem] = path
    return images


def _any_images(folder: Path) -> dict[str, Path]:
    try:
        paths = list_images(folder)
    except UserError:
        return {}
    images: dict[str, Path] = {}
    for path in (
        paths
    ):  # a second file of one frame is listed under its full name, so that it can be reported
        images[path.name if path.stem in images else path.stem] = path
    return images
