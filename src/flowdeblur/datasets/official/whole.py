"""Whether a split to score on is the published one: a part of it gives another score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowdeblur.datasets.clips import Clip
from flowdeblur.datasets.published import Published
from flowdeblur.errors import UserError


def demand_whole(
    place: str, clips: Sequence[Clip], published: Published, otherwise: str = ""
) -> None:
    """Compare clips and the numbers of their frames with what is known of the published ones.

    Args:
        place: the split and where it is, for the message.
        clips: their frames come in pairs.
        published: what is in the split.
        otherwise: another remedy than to unpack the archive again, as the end of a sentence.

    Raises:
        UserError: clips or frames are missing, or there are more of them.
    """
    if published.lengths is not None:
        wrong = _lengths_differ(clips, published.lengths)
    else:
        wrong = _numbers_differ(clips, published)
    if wrong:
        raise UserError(
            f"{place}: is not as published: {wrong}; unpack {published.archive} again "
            f"(`flowdeblur data verify` lists what is wrong){otherwise}"
        )


def _lengths_differ(clips: Sequence[Clip], lengths: Mapping[str, int]) -> str | None:
    there = {clip.name: len(clip.blurry) for clip in clips}
    other = [name for name, length in lengths.items() if there.get(name, 0) != length]
    if not other:
        return None
    name, noun = other[0], "clip" if len(lengths) == 1 else "clips"
    return (
        f"{len(other)} of {len(lengths)} {noun} not of the published length, "
        f"{name} with {there.get(name, 0)} of {lengths[name]} frames for one"
    )


def _numbers_differ(clips: Sequence[Clip], published: Published) -> str | None:
    frames = sum(len(clip.blurry) for clip in clips)
    if (len(clips), frames) == (published.clips, published.frames):
        return None
    if published.frames == published.clips:
        return f"{frames} images instead of {published.frames}"
    return (
        f"{len(clips)} clips with {frames} frames in all "
        f"instead of {published.clips} with {published.frames}"
    )
