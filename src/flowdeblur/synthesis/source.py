"""Training on sharp videos whose blur is synthesized once, into a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from flowdeblur.datasets.clips import ClipChoice, FrameSequence
from flowdeblur.datasets.folders import FrameFolders
from flowdeblur.synthesis.clip import BLURRY, SHARP
from flowdeblur.synthesis.dataset import synthesize
from flowdeblur.synthesis.inputs import SharpClip, find_clips
from flowdeblur.synthesis.recipe import Recipe


@dataclass(frozen=True)
class Videos(ClipChoice):
    """Sharp videos (or folders of images) below a folder, with synthesized blur.

    Attributes:
        root: the folder.
        recipe: how to synthesize blur.
        cache: folder for the synthesized frames. Every recipe and every set of videos has its own
            folder in it; several processes can share it.
    """

    root: str
    recipe: Recipe = field(default_factory=Recipe)
    cache: str = "~/.cache/flowdeblur/video"

    def open(self, frame_offsets: tuple[int, ...], flow_offsets: tuple[int, ...]) -> FrameSequence:
        """Synthesize what is missing in the cache, and find the frames.

        Raises:
            UserError: a video is missing, too short or damaged; the cache cannot be written to.
        """
        found = find_clips(Path(self.root).expanduser())
        chosen = self.among([each.name for each in found], self.root, "video")
        clips = [each for each in found if each.name in chosen]
        folder = Path(self.cache).expanduser() / self._fingerprint(found)
        synthesize(clips, folder, self.recipe, wait=True)
        return FrameFolders(
            str(folder),
            f"*/{BLURRY}",
            f"*/{SHARP}",
            clips=[clip.name for clip in clips],
            last_frame=self.last_frame,
            first=self.first,
            every=self.every,
        ).open(frame_offsets, flow_offsets)

    def _fingerprint(self, found: list[SharpClip]) -> str:
        """Digest of everything that the synthesized bytes depend on."""
        content = [self.recipe.as_json(), [(clip.path.name, clip.bytes) for clip in found]]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
