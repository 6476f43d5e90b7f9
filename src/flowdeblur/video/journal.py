"""Records which frames of a folder are written, so that an interrupted command can resume."""

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
    """A hidden file that exists in a folder as long as frames are missing there.

    Its first line identifies what the frames are made of; the name of each written frame follows.
    A folder without it is complete; one with it can only be resumed by the same command.

    Args:
        folder: may not exist yet.
        origin: what the frames are made of: input, weights and options.
        anew: whether existing frames are written again.

    Raises:
        UserError: the folder was begun with another origin.
    """

    def __init__(self, folder: Path, origin: str, *, anew: bool = False) -> None:
        self.folder, self.done = folder, set[str]()
        self._path, self._origin = folder / _NAME, json.dumps(origin)
        self._made = False
        self._resumed = is_unfinished(folder)
        if anew or not self._resumed:
            return
        begun, *names = self._path.read_text("utf-8", errors="replace").splitlines() or [""]
        if begun != self._origin:
            raise UserError(
                f"{folder}: was begun with another input, weights or options; "
                "name another OUT or pass --overwrite"
            )
        for name in names:
            with suppress(json.JSONDecodeError):  # the last one may be torn
                self.done.add(str(json.loads(name)))

    def begin(self) -> None:
        """Make the folder if it is missing, and rewrite the file without torn lines."""
        if not self.folder.exists():
            self.folder.mkdir()
            self._made = True
        names = map(json.dumps, sorted(self.done))
        write_text(self._path, "".join(f"{line}\n" for line in (self._origin, *names)))

    def note(self, frame: Frame) -> None:
        """Record that a frame is written."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(frame.name)}\n")
        self.done.add(frame.name)

    def finish(self) -> None:
        """Remove the file."""
        self._path.unlink()

    def leave(self) -> None:
        """Keep what can be resumed; where nothing was written, leave nothing behind."""
        if not self.done and not self._resumed:
            self._path.unlink(missing_ok=True)
            if self._made:
                self.folder.rmdir()
        elif is_unfinished(self.folder):
            _log.warning(
                "%s: %d frames are kept; the same command resumes from there",
                self.folder,
                len(self.done),
            )


def is_unfinished(folder: Path) -> bool:
    """Whether an interrupted command left frames to be written there."""
    return (folder / _NAME).exists()


def origin(reader: FrameReader, network: Network, *options: object) -> str:
    """Identify what frames are made of: another input, weights or options give another text.

    Args:
        reader: its files count by name, size and modification time.
        network: its weights count.
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
