"""Which frames of a folder are written, so that an interrupted command can go on."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from pathlib import Path

import torch

from flowdeblur.errors import UserError
from flowdeblur.files import write_text
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame, FrameReader

_NAME = ".unfinished"

_log = logging.getLogger(__name__)


class Journal:
    """A hidden file in a folder as long as frames are missing there.

    Its first line says what the frames are made of; a name follows for every frame that is written
    whole. So a folder without it is complete, and one with it is gone on with by the same command
    alone.

    Args:
        folder: may be missing yet.
        origin: what the frames are made of: input, weights and options.
        anew: whether frames that are there are to be written again.

    Raises:
        UserError: the folder was begun with another origin.
    """

    def __init__(self, folder: Path, origin: str, *, anew: bool = False) -> None:
        self.folder, self.done = folder, set[str]()
        self._path, self._origin = folder / _NAME, json.dumps(origin)
        self._made = False
        self._went_on = is_unfinished(folder)
        if anew or not self._went_on:
            return
        begun, *names = self._path.read_text("utf-8").splitlines() or [""]
        if begun != self._origin:
            raise UserError(
                f"{folder}: was begun with another input, weights or options; "
                "name another OUT or pass --overwrite"
            )
        for name in names:
            with suppress(json.JSONDecodeError):  # the last one may be torn
                self.done.add(json.loads(name))

    def begin(self) -> None:
        """Make the folder where it is missing, and write the file anew, without torn lines."""
        if not self.folder.exists():
            self.folder.mkdir()
            self._made = True
        names = map(json.dumps, sorted(self.done))
        write_text(self._path, "".join(f"{line}\n" for line in (self._origin, *names)))

    def note(self, frame: Frame) -> None:
        """Note that a frame is written."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(frame.name)}\n")
        self.done.add(frame.name)

    def finish(self) -> None:
        """Remove the file."""
        self._path.unlink()

    def leave(self) -> None:
        """Keep what there is to go on with; where nothing was written, leave nothing behind."""
        if not self.done and not self._went_on:
            self._path.unlink(missing_ok=True)
            if self._made:
                self.folder.rmdir()
        elif is_unfinished(self.folder):
            _log.warning(
                "%s: %d frames are kept; the same command goes on from there",
                self.folder,
                len(self.done),
            )


def is_unfinished(folder: Path) -> bool:
    """Whether an interrupted command left frames to be written there."""
    return (folder / _NAME).exists()


def origin(reader: FrameReader, network: Network, *options: object) -> str:
    """Say what frames are made of: of another input, other weights or options it is another text.

    Args:
        reader: whose files count by name, size and time of their last change.
        network: whose weights count.
        *options: what else changes the frames.
    """
    digest = hashlib.sha256(repr(options).encode())
    for file in reader.files:
        facts = file.stat()
        digest.update(repr((file.name, facts.st_size, facts.st_mtime_ns)).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
