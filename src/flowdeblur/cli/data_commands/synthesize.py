"""``flowdeblur data synthesize``: blurry and sharp frames from sharp video."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowdeblur.cli.arguments import command_parser
from flowdeblur.errors import UserError

_DESCRIPTION = """\
Make blurry frames from sharp video: linear light is averaged over an exposure, and the sharp frame
is its middle. Between the frames of the video, instants are interpolated along the estimated flow,
about one per pixel of motion. OUT gets DVD's layout, CLIP/input and CLIP/GT, and
CLIP/synthesis.json with everything that was drawn and measured. An interrupted call is resumed by
the same call."""

_EPILOG = """\
examples:
  flowdeblur data synthesize videos/ blurred/ --scale 0.5
  flowdeblur data synthesize gopro240/ blurred/ --interval 8 --duty-cycle 0.9 --whole-frames
  flowdeblur data synthesize REDS/train/train_sharp blurred/ --duty-cycle 0.8 --seed 1

VIDEOS holds video files, or folders of images, each one clip without cuts. A video should be as
sharp as possible: its own blur stays in the sharp frames. Train on OUT with
  flowdeblur train data=frames data.root=OUT 'data.train.blurry=*/input' 'data.train.sharp=*/GT'"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or a video that cannot be used.
    """
    arguments = _parser().parse_args(argv)

    from flowdeblur.synthesis.dataset import synthesize
    from flowdeblur.synthesis.inputs import find_clips
    from flowdeblur.synthesis.recipe import Recipe

    recipe = Recipe(
        duty_cycle=_range("--duty-cycle", arguments.duty_cycle),
        interval=_range("--interval", arguments.interval),
        whole_frames=arguments.whole_frames,
        scale=arguments.scale,
        response=arguments.response,
        highlights=_range("--highlights", arguments.highlights),
        noise=_range("--noise", arguments.noise),
        jpeg=_range("--jpeg", arguments.jpeg) if arguments.jpeg else None,
        seed=arguments.seed,
    )
    described = synthesize(find_clips(arguments.videos), arguments.out, recipe, jobs=arguments.jobs)
    for metadata in described:
        print(_line(metadata))
    print(f"{sum(each['statistics']['frames'] for each in described)} frames: {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("data synthesize", _DESCRIPTION, _EPILOG)
    parser.add_argument("videos", metavar="VIDEOS", type=Path, help="folder, or a single video")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the clips")
    parser.add_argument(
        "--duty-cycle",
        nargs="+",
        type=float,
        default=[0.6, 1.0],
        metavar="R",
        help="exposure / frame interval: one value, or a range to draw from (default: 0.6 1.0)",
    )
    parser.add_argument(
        "--interval",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help="frames of the video from one blurry frame to the next (default: 1)",
    )
    parser.add_argument(
        "--whole-frames",
        action="store_true",
        help="average only the video's own frames, without flow: for many frames per second",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="S", help="shrink frames first, for example 0.5"
    )
    parser.add_argument(
        "--response",
        metavar="FILE",
        help="response curve: 256 lines of one or three numbers, the light of each value "
        "(default: gamma 2.2)",
    )
    parser.add_argument(
        "--highlights",
        nargs="+",
        type=float,
        default=[1.0],
        metavar="G",
        help="brighten pixels near white up to G times before averaging (default: 1, not at all)",
    )
    parser.add_argument(
        "--noise",
        nargs="+",
        type=float,
        default=[0.0],
        metavar="SD",
        help="noise of the blurry frames: standard deviation at white, linear light",
    )
    parser.add_argument(
        "--jpeg", nargs="+", type=int, metavar="Q", help="compress the blurry frames, 1 to 100"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="clips at the same time (default: one per core)"
    )
    return parser


def _range(name: str, values: list[Any]) -> tuple[Any, Any]:
    if len(values) > 2:
        raise UserError(f"{name}: expects one number, or the ends of a range; got {len(values)}")
    return values[0], values[-1]


def _line(metadata: dict[str, Any]) -> str:
    settings, statistics = metadata["settings"], metadata["statistics"]
    parts = [
        f"{metadata['source']['name']}: {statistics['frames']} frames",
        f"duty cycle {settings['duty_cycle']:.2f}",
    ]
    if statistics["blur_px"] is not None:
        blur = statistics["blur_px"]
        parts.append(f"blur {blur['mean']:.1f} px, at most {blur['fastest']:.1f}")
    if statistics["psnr"] is not None:
        parts.append(f"blurry {statistics['psnr']:.2f} dB")
    return ", ".join(parts)
