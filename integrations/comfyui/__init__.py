"""ComfyUI node "Deblur video (flowdeblur)", for ComfyUI with the V3 node API."""

from __future__ import annotations

import functools
from typing import Any

import torch
from comfy_api.latest import ComfyAPISync, ComfyExtension, io

import flowdeblur

WEIGHTS = ("default", "small")
SCALES = ("1", "0.5", "0.25,0.5", "auto")


class DeblurVideo(io.ComfyNode):
    """Restores the frames of a video, an IMAGE batch, one after the other."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="FlowdeblurDeblurVideo",
            display_name="Deblur video (flowdeblur)",
            category="image/postprocessing",
            description="Removes motion blur from consecutive frames of a video.",
            inputs=[
                io.Image.Input("images", tooltip="Frames of one video, in order."),
                io.Combo.Input("weights", options=list(WEIGHTS), default="default"),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 keeps the input, 1 takes the restored frame.",
                ),
                io.Float.Input(
                    "only_blurry",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.5,
                    tooltip="Frames with less estimated blur, in pixels, stay as they are.",
                ),
                io.Combo.Input(
                    "scale",
                    options=list(SCALES),
                    default="1",
                    tooltip="Lower scales are for long blur; auto chooses for each frame.",
                ),
                io.Boolean.Input(
                    "keep_grain", default=False, tooltip="Put the input's fine noise back."
                ),
            ],
            outputs=[io.Image.Output(display_name="images")],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        weights: str,
        strength: float,
        only_blurry: float,
        scale: str,
        keep_grain: bool,
    ) -> io.NodeOutput:
        """Restore ``images``, (B, H, W, C) with 3 channels, or 4 of which the last is kept."""
        progress = ComfyAPISync().execution.set_progress
        restored = images.clone()
        frames = flowdeblur.restore(
            (image[..., :3].cpu().float().numpy() for image in images),
            _load(weights),
            strength=strength,
            only_blurry=only_blurry or None,
            scale=scale,
            keep_grain=keep_grain,
        )
        for index, frame in enumerate(frames):
            restored[index, ..., :3] = torch.from_numpy(frame)
            progress(index + 1, len(images))
        return io.NodeOutput(restored)


@functools.lru_cache(maxsize=1)
def _load(weights: str) -> Any:
    return flowdeblur.load(weights)


class FlowdeblurExtension(ComfyExtension):
    """The nodes of this package."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """List them."""
        return [DeblurVideo]


async def comfy_entrypoint() -> FlowdeblurExtension:
    """What ComfyUI calls to find the nodes."""
    return FlowdeblurExtension()
