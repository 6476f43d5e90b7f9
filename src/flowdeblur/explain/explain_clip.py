"""Explaining frames of a clip: a page, its images and its scores in a folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

import flowdeblur
from flowdeblur.devices import automatic_device
from flowdeblur.errors import UserError
from flowdeblur.explain.explanation import Explanation, explain_frame
from flowdeblur.explain.figures import frame_page
from flowdeblur.explain.page import page
from flowdeblur.files import filling
from flowdeblur.networks.inference import prepare
from flowdeblur.types import Network
from flowdeblur.video.clip import Frame, FrameReader
from flowdeblur.video.images import write_image
from flowdeblur.video.windows import Window, to_window_tensor, windows

FRAME_STEP, MAX_FRAMES = 10, 20
"""Without a choice of frames, every tenth is explained, up to twenty."""


_HOW_TO_READ = (
    "Drag across a frame to compare. Re-blur consistency needs no sharp original: the restored "
    "frame, blurred along its own flow, should give the input back. The gain is relative to the "
    "input blurred in the same way, the score of a network that changes nothing."
)


@dataclass(frozen=True, slots=True)
class Explained:
    """A frame, its number from 0, and its explanation."""

    index: int
    frame: Frame
    explanation: Explanation


def check_choice(chosen: Collection[int] | None, clip: FrameReader) -> None:
    """Check that the chosen frames exist, if the length of the clip is known.

    Raises:
        UserError: one does not exist.
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
    """Write ``index.html``, ``scores.json`` and a PNG of every image.

    Args:
        network: is moved to ``device`` and put into evaluation mode.
        clip: the frames.
        folder: written atomically; files of other names in it stay.
        chosen: numbers of the frames to explain, from 0; None chooses every tenth, up to twenty.
        duty_cycle: exposure / frame interval to assume, in [0, 1].
        device: where to compute; the GPU if there is one, else the CPU.
        cuts: whether no frame is paired with a frame of another shot.

    Returns:
        The explanations, in the order of the frames.

    Raises:
        UserError: the clip has no such frame.
        RuntimeFailureError: the device's memory does not suffice.
    """
    pages, scores, explanations = [], [], []
    with filling(folder) as partial:
        found = explanations_of(network, clip, chosen, duty_cycle, device, cuts=cuts)
        for each in tqdm(found, desc="explaining", unit="frame", disable=None):
            described = frame_page(each.frame.name, each.explanation, duty_cycle)
            for figure in (*described.compared, *described.figures):
                write_image(partial / f"{described.name}_{figure.name}.png", figure.image)
            pages.append(described)
            scores.append({"frame": each.index, "name": described.name} | _scores(each.explanation))
            explanations.append(each.explanation)
        introduction = (
            f"Frames explained: {len(pages)}. Assumed duty cycle: {duty_cycle:g}. {_HOW_TO_READ}"
        )
        (partial / "index.html").write_text(page(clip.path.name, introduction, pages), "utf-8")
        content = {"flowdeblur": flowdeblur.__version__, "duty_cycle": duty_cycle, "frames": scores}
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
    """Explain frames one by one; for arguments and errors see :func:`explain_clip`."""
    device = device or automatic_device()
    network = prepare(network, device)
    wanted = (
        range(0, FRAME_STEP * MAX_FRAMES, FRAME_STEP) if chosen is None else sorted(set(chosen))
    )
    read = 0
    for read, window in enumerate(windows(clip, network.frame_offsets, cuts=cuts), 1):
        if read - 1 in wanted and not window.current.damaged:
            frames = to_window_tensor(window, device)
            explanation = explain_frame(network, frames, directions(network, window), duty_cycle)
            yield Explained(read - 1, window.current, explanation)
        if read > wanted[-1]:
            return
    if chosen is not None:
        raise _missing(wanted[-1], read)


def _missing(frame: int, count: int) -> UserError:
    return UserError(f"--frames: there is no frame {frame}; the frames are 0 to {count - 1}")


def directions(network: Network, window: Window) -> list[int]:
    """Return the sign of each neighbour's time relative to the current frame's: -1, 0 or 1."""
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
