"""Figures and numbers of an explanation, with captions that say how to read them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from flowdeblur.explain.explanation import Explanation, Motion, SameFrameResult
from flowdeblur.viz.drawing import Drawn, draw_difference, draw_flow, draw_kernels, draw_rnn_weights
from flowdeblur.viz.panels import to_bytes


class Figure(NamedTuple):
    """An image with its file name, its title on the page, and a caption on how to read it."""

    name: str
    title: str
    caption: str
    image: Drawn


class FramePage(NamedTuple):
    """Part of the page about one frame.

    Attributes:
        name: frame name.
        facts: numbers with their units, by title.
        compared: the input first, then the images that a slider compares it with.
        figures: the other images.
    """

    name: str
    facts: dict[str, str]
    compared: list[Figure]
    figures: list[Figure]


def frame_page(name: str, explanation: Explanation, duty_cycle: float) -> FramePage:
    """Draw and describe an explanation.

    Args:
        name: frame name.
        explanation: explanation of the frame.
        duty_cycle: assumed exposure / frame interval, in [0, 1].
    """
    blurry, restored = explanation.blurry, explanation.restored
    facts = {"mean change, of 255 levels": f"{_levels(blurry, restored):.2f}"}
    compared = [
        Figure("input", "input", "The input frame.", to_bytes(blurry[None])[0]),
        Figure("restored", "restored", "The network's output.", to_bytes(restored[None])[0]),
    ]
    difference, times = draw_difference(blurry, restored)
    caption = f"Restored minus input, amplified {times:g} times; mid-grey is no change."
    figures = [Figure("difference", "difference", caption, difference)]
    if explanation.motion is not None:
        figures = [*_motion_figures(blurry, explanation.motion, duty_cycle), *figures]
        facts |= _motion_facts(explanation.motion, duty_cycle)
        compared.append(
            Figure(
                "reblurred",
                "restored, blurred again",
                "The restored frame blurred along its flow. The closer it is to the input, the "
                "better flow, duty cycle and restoration agree.",
                to_bytes(explanation.motion.reblurred[None])[0],
            )
        )
        if explanation.still is not None:
            reach = float(explanation.motion.flow.norm(dim=0).max())
            compared.append(_still(explanation.still))
            figures.append(_still_flow(explanation.still, reach))
            facts |= _still_facts(blurry, explanation.still)
    if explanation.rnn_weights:
        size = blurry.shape[-2], blurry.shape[-1]
        image, brightest = draw_rnn_weights(explanation.rnn_weights, size)
        caption = (
            "Mean absolute RNN weight over channels, for each sweep and scale: dark forgets at "
            f"once, light yellow ({brightest:.2f} here) remembers longest."
        )
        figures.append(Figure("rnn_weights", "RNN weights", caption, image))
    return FramePage(name, facts, compared, figures)


def _motion_figures(blurry: Tensor, motion: Motion, duty_cycle: float) -> list[Figure]:
    flow, kernels = (draw_flow(motion.flow), draw_kernels(blurry, motion.trail, duty_cycle))
    longest = float(motion.flow.norm(dim=0).max())
    return [
        Figure(
            "flow",
            "optical flow",
            "Hue is the direction as in the key, saturation the length; the longest vector is "
            f"{longest:.1f} px per frame. Arrows are {flow.times:.1f} times as long as the motion.",
            flow.image,
        ),
        Figure(
            "kernels",
            "blur kernels",
            "Blur kernels implied by the flow: a point of light is smeared into this shape "
            f"while the shutter is open ({duty_cycle:g} of a frame interval). Enlarged "
            f"{kernels.times:g} times.",
            kernels.image,
        ),
    ]


def _motion_facts(motion: Motion, duty_cycle: float) -> dict[str, str]:
    lengths = motion.trail.length_px(duty_cycle)
    return {
        "re-blur consistency": f"{motion.consistency:.2f} dB",
        "re-blur consistency of the input": f"{motion.consistency_of_input:.2f} dB",
        "re-blur gain": f"{motion.gain:+.2f} dB",
        "mean flow": f"{_mean_length(motion.flow):.2f} px per frame",
        "blur kernels, mean and longest": f"{float(lengths.mean()):.1f}, "
        f"{float(lengths.max()):.1f} px",
    }


def _still_facts(blurry: Tensor, still: SameFrameResult) -> dict[str, str]:
    return {
        "frame given twice: mean change": f"{_levels(blurry, still.restored):.2f}",
        "frame given twice: mean flow": f"{_mean_length(still.flow):.2f} px",
    }


def _still(still: SameFrameResult) -> Figure:
    caption = (
        "The same network, given this frame twice, as if nothing moved. Blur that remains here "
        "and is gone in the restored frame was removed because of the second frame."
    )
    return Figure("given_twice", "frame given twice", caption, to_bytes(still.restored[None])[0])


def _still_flow(still: SameFrameResult, reach_px: float) -> Figure:
    caption = "Flow of the frame given twice, in the colours of the flow above; it should be white."
    image = draw_flow(still.flow, max(reach_px, 1.0)).image
    return Figure("given_twice_flow", "flow, frame given twice", caption, image)


def _levels(one: Tensor, other: Tensor) -> float:
    return 255 * float((one - other).abs().mean())


def _mean_length(flow: Tensor) -> float:
    return float(flow.norm(dim=0).mean())
