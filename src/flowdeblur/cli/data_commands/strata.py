"""``flowdeblur data strata``: validation pairs by blur length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser

_DESCRIPTION = """\
Make validation pairs from sharp videos, the same number for each range of blur lengths: 0-2, 2-5,
5-10, 10-20 and 20-40 pixels. The blur length of a frame is the median, over pixels that move by
more than half a pixel, of the motion during the exposure, in pixels of the frame that is scored.
Frames are shrunk to 360 lines, in linear light. The same seed gives the same pairs."""

_EPILOG = """\
example:
  flowdeblur data strata held_out/ strata/
  flowdeblur evaluate weights=default data=strata data.root=strata protocols=strata"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or a video that cannot be used.
    """
    parser = command_parser("data strata", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "videos",
        metavar="VIDEOS",
        type=Path,
        nargs="+",
        help="folders of sharp videos, or single videos",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the pairs")
    parser.add_argument(
        "--frames",
        type=int,
        default=20,
        metavar="N",
        help="scored frames per stratum (default: 20)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws")
    arguments = parser.parse_args(argv)

    from flowdeblur.synthesis.inputs import find_clips
    from flowdeblur.synthesis.strata import prepare_strata, summary

    clips = [clip for place in arguments.videos for clip in find_clips(place)]
    described = prepare_strata(clips, arguments.out, frames=arguments.frames, seed=arguments.seed)
    print(summary(described))
    return 0
