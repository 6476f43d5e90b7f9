"""Which frames of a clip a protocol scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol


class FrameRule(Protocol):
    """Chooses frames of a clip."""

    def choose(self, names: Sequence[str]) -> list[int]:
        """Choose frames.

        Args:
            names: of the clip's frames, in order, without suffixes.

        Returns:
            Positions in ``names``, from 0, ascending.
        """
        ...


@dataclass(frozen=True)
class AllFrames:
    """Every frame, a clip's first and last included.

    Example:
        >>> AllFrames().choose(["a", "b", "c"])
        [0, 1, 2]
    """

    def choose(self, names: Sequence[str]) -> list[int]:
        """Choose all."""
        return list(range(len(names)))


@dataclass(frozen=True)
class WithoutEnds:
    """Every frame but some at a clip's ends.

    Attributes:
        first: frames left out at the beginning.
        last: frames left out at the end.

    Example:
        >>> WithoutEnds(first=0, last=1).choose(["a", "b", "c"])
        [0, 1]
    """

    first: int
    last: int

    def choose(self, names: Sequence[str]) -> list[int]:
        """Choose the middle."""
        return list(range(self.first, len(names) - self.last))


@dataclass(frozen=True)
class Numbered:
    """Frames by number, those that the clip has.

    Attributes:
        numbers: of the frames, ascending.
        first: the number of a clip's first frame: 1 as in MATLAB, 0 as in Python.

    Example:
        >>> Numbered((2, 3, 9), first=1).choose(["a", "b", "c"])
        [1, 2]
    """

    numbers: Sequence[int]
    first: int

    def choose(self, names: Sequence[str]) -> list[int]:
        """Choose by number."""
        wanted = (number - self.first for number in self.numbers)
        return [position for position in wanted if 0 <= position < len(names)]


@dataclass(frozen=True)
class NamedLike:
    """Frames by name.

    Attributes:
        pattern: as in a shell, ``*9`` for names that end in 9.

    Example:
        >>> NamedLike("*9").choose(["00008", "00009"])
        [1]
    """

    pattern: str

    def choose(self, names: Sequence[str]) -> list[int]:
        """Choose by name."""
        return [position for position, name in enumerate(names) if fnmatchcase(name, self.pattern)]
