"""Explaining frames of a clip: a page, its pictures and its scores in a folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

import flowdeblur
from flowdeblur.devices import automatic_device
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.explain.explanation import Explanation, explain_frame
from flowdeblur.explain.figures import tell
from flowdeblur.explain.page import page
from flowdeblur.files import filling
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame, FrameReader
from flowdeblur.video.images import write_image
from flowdeblur.video.restore import Window, to_tensor, windows

EVERY, AT_MOST = 10, 20
"""Without a choice of frames, every tenth is explained, and no more than twenty."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A frame and its explanation."""

    index: int
    frame: Frame
    explanation: Explanation


def check_choice(chosen: Collection[int] | None, clip: FrameReader) -> None:
    """See, before any work, that the chosen frames exist, where the clip says how many it has.

    Raises:
        UserError: one does not.
    """
    if chosen is not None and clip.count is not None and max(chosen) >= clip.count:
        raise _missing(max(chosen), clip.count)


def explain_clip(
    network: Network,
    clip: FrameReader,
    folder: Path,
    *,
    chosen: Collection[int] | None,
    duty_cycle: float,
    device: torch.device | None = None,
    cuts: bool = True,
) -> list[Explanation]:
    """Write ``index.html``, ``scores.json`` and a PNG of every picture.

    Args:
        network: as for :func:`flowdeblur.video.restore.restore`.
        clip: the frames.
        folder: appears when it is complete; files of other names in it stay.
        chosen: numbers of the frames to explain, from 0; None chooses every tenth, up to twenty.
        duty_cycle: exposure / frame interval to assume, in [0, 1].
        device: where to compute; the GPU if there is one, else the CPU.
        cuts: as for :func:`flowdeblur.video.restore.restore`.

    Returns:
        The explanations, in the order of the frames.

    Raises:
        UserError: the clip has no such frame.
        RuntimeFailureError: the device's memory does not suffice.
    """
    stories, scores, explanations = [], [], []
    with filling(folder) as partial:
        found = explanations_of(network, clip, chosen, duty_cycle, device, cuts=cuts)
        for each in tqdm(found, desc="explaining", unit="frame", disable=None):
            story = tell(each.frame.name, each.explanation, duty_cycle)
            for figure in (*story.compared, *story.figures):
                write_image(partial / f"{story.name}_{figure.name}.png", figure.picture)
            stories.append(story)
            scores.append({"frame": each.index, "name": story.name} | _scores(each.explanation))
            explanations.append(each.explanation)
        introduction = f"Frames explained: {len(stories)}. Assumed duty cycle: {duty_cycle:g}."
        (partial / "index.html").write_text(page(clip.path.name, introduction, stories), "utf-8")
        content = {
            "flowdeblur": flowdeblur.__version__,
            "duty_cycle": duty_cycle,
            "frames": scores,
        }
        (partial / "scores.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return explanations


def explanations_of(
    network: Network,
    clip: FrameReader,
    chosen: Collection[int] | None,
    duty_cycle: float,
    device: torch.device | None = None,
    *,
    cuts: bool = True,
) -> Iterator[Explained]:
    """Explain frames one after the other; arguments and errors as of :func:`explain_clip`."""
    device = device or automatic_device()
    network = network.to(device).eval()
    wanted = range(0, EVERY * AT_MOST, EVERY) if chosen is None else sorted(set(chosen))
    offsets = network.frame_offsets
    read = 0
    for read, window in enumerate(windows(clip, offsets, cuts=cuts), 1):
        if read - 1 in wanted and not window.current.damaged:
            try:
                explanation = explain_frame(
                    network, to_tensor(window, device), _directions(network, window), duty_cycle
                )
            except torch.OutOfMemoryError:
                raise RuntimeFailureError(
                    f"{device} has too little memory to explain such frames; use --device cpu"
                ) from None
            yield Explained(read - 1, window.current, explanation)
        if read > wanted[-1]:
            return
    if chosen is not None:
        raise _missing(wanted[-1], read)


def _missing(frame: int, count: int) -> UserError:
    return UserError(f"--frames: there is no frame {frame}; the frames are 0 to {count - 1}")


def _directions(network: Network, window: Window) -> list[int]:
    """On which side of the current frame each flow's neighbour is; at a clip's ends it differs."""
    offsets = network.frame_offsets
    neighbours = (window.frames[offsets.index(each)] for each in network.flow_offsets)
    now = window.current.time
    return [(each.time > now) - (each.time < now) for each in neighbours]


def _scores(explanation: Explanation) -> dict[str, float]:
    if explanation.motion is None:
        return {}
    motion = explanation.motion
    scores = {
        "consistency_db": motion.consistency,
        "consistency_of_input_db": motion.consistency_of_input,
        "gain_db": motion.gain,
        "mean_flow_px": float(motion.flow.norm(dim=0).mean()),
    }
    if explanation.still is not None:
        scores["mean_flow_given_twice_px"] = float(explanation.still.flow.norm(dim=0).mean())
    return scores
