"""``flowdeblur data release``: the training data of experiment=release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser

_DESCRIPTION = """\
Prepare training data from sharp videos, real pairs and photographs: short packed clips whose blur
lengths are spread evenly on a logarithmic scale from 0.5 to 40 pixels. Interval, duty cycle, scale,
response and highlights of each clip are drawn, the blur length is measured, and unsharp frames are
left out. RAW holds

  sharp/NAME/*.mp4               sharp videos, or folders of images; NAME becomes a source
  real/CLIP/{blur,sharp}         pairs of real blurry and sharp frames, as in REDS
  photographs/*.jpg              textures of scenes, beside sharp frames of the videos
  val/CLIP/{blur,sharp}          pairs to choose by, never trained on

Only sharp/ is required. OUT is then data.root. An interrupted call is resumed by the same call."""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or a video that cannot be used.
    """
    parser = command_parser("data release", _DESCRIPTION)
    parser.add_argument("raw", metavar="RAW", type=Path, help="folder of the raw files")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the prepared data")
    parser.add_argument(
        "--segments",
        type=int,
        default=25,
        metavar="N",
        help="segments per sharp clip, 1.8 MB each (default: 25)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws")
    parser.add_argument("--jobs", type=int, metavar="N", help="clips at the same time")
    arguments = parser.parse_args(argv)

    from flowdeblur.synthesis.release import histogram, prepare_release

    described = prepare_release(
        arguments.raw,
        arguments.out,
        segments_per_clip=arguments.segments,
        seed=arguments.seed,
        jobs=arguments.jobs,
    )
    for source, count in Counter(each["source"] for each in described).items():
        print(f"{source}: {count} segments")
    print(f"blur length of the middle frames:\n{histogram(described)}")
    return 0
