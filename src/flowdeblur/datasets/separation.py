"""Training and held-out data must not be read from the same files."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from flowdeblur.errors import UserError
from flowdeblur.types import SampleSequence


@runtime_checkable
class ReadFromFiles(Protocol):
    """Samples that know which files they are read from."""

    def clips_by_file(self) -> dict[str, str]:
        """Map each file, with symbolic links resolved, to the name of its clip."""


def clips_by_file(samples: SampleSequence) -> dict[str, str]:
    """Map each file that samples are read from to the name of its clip; empty if unknown."""
    return samples.clips_by_file() if isinstance(samples, ReadFromFiles) else {}


def demand_separate(split: str, held_out: SampleSequence, training: SampleSequence) -> None:
    """Check that no file is read for training and for a held-out split.

    Copies under other names are not seen; ``flowdeblur data verify`` compares the pixels.

    Args:
        split: ``val`` or ``test``, for the message.
        held_out: samples of the split.
        training: samples to train on.

    Raises:
        UserError: names the shared clips.
    """
    own = clips_by_file(held_out)
    shared = sorted({own[file] for file in own.keys() & clips_by_file(training).keys()})
    if shared:
        names = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
        raise UserError(
            f"data.{split}: {len(shared)} of its clips ({names}) are also training data, so its "
            f"scores would be too good; choose other clips, or set data.train.exclude=[{names}]"
        )
