"""``flowdeblur evaluate --no-reference``: score real clips, which have no sharp frames."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import add_network, command_parser, count, share
from flowdeblur.cli.explaining import check_folder
from flowdeblur.explain import DUTY_CYCLE

OPTION = "--no-reference"

_DESCRIPTION = """\
Restore real clips and score their frames before and after without sharp frames: NIQE, sharpness,
estimated blur, flicker, and the gain of re-blurring. Prints a table; writes a page with curves over
time and the frames with the largest blur, frames.csv and metrics.json.
Needs pip install 'flowdeblur[metrics,report]'."""

_EPILOG = """\
examples:
  flowdeblur evaluate --no-reference shaky.mp4 --out shaky-scores
  flowdeblur evaluate --no-reference clips/*/ --frames 50 --out page"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the arguments after ``flowdeblur evaluate``.

    Raises:
        UserError: a mistake in the arguments or the files; OUT is as it was before.
        RuntimeFailureError: the device's memory does not suffice.
    """
    arguments = parse(argv)
    check_folder(arguments.out, overwrite=arguments.overwrite, option="--out")

    from flowdeblur.devices import find_device
    from flowdeblur.evaluation.niqe import NIQE
    from flowdeblur.evaluation.pairs import Flicker
    from flowdeblur.evaluation.scorer import AnyMetric
    from flowdeblur.evaluation.sharpness import BlurLength, Sharpness
    from flowdeblur.explain.quality import measure_clip
    from flowdeblur.explain.quality_page import largest_blur_first, rows, write_quality
    from flowdeblur.extras import import_extra
    from flowdeblur.video.inputs import find_sources
    from flowdeblur.weights import load

    import_extra("matplotlib", "report")
    device = find_device(arguments.device)
    metrics: dict[str, AnyMetric] = {
        "blur_px": BlurLength(),
        "niqe": NIQE(arguments.niqe),
        "sharpness": Sharpness(),
        "flicker": Flicker(),
    }
    readers = [clip.open(None) for clip in find_sources(arguments.clips)]
    network = load(arguments.weights, allow=arguments.allow)
    clips = largest_blur_first(
        [
            measure_clip(
                network,
                reader,
                metrics,
                device=device,
                duty_cycle=arguments.duty_cycle,
                limit=arguments.frames,
                keep=arguments.show,
            )
            for reader in readers
        ]
    )
    for clip in clips:
        print(f"{clip.name}, mean of {len(clip.frames)} frames")
        for title, *values in (("", "input", "restored"), *rows(clip)):
            print(f"  {title:52}" + "".join(f"{each:>10}" for each in values))
    write_quality(clips, arguments.out, arguments.weights)
    print(f"page    {arguments.out / 'index.html'}")
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments after ``flowdeblur evaluate``."""
    parser = command_parser("evaluate", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        OPTION,
        dest="clips",
        nargs="+",
        required=True,
        metavar="CLIP",
        help="videos or folders of frames",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the page"
    )
    add_network(parser)
    parser.add_argument(
        "--frames", type=count, metavar="N", help="read only the first N frames of each clip"
    )
    parser.add_argument(
        "--show",
        type=count,
        default=4,
        metavar="N",
        help="frames of each clip on the page, largest blur first (default: 4)",
    )
    parser.add_argument(
        "--duty-cycle",
        type=share,
        default=DUTY_CYCLE,
        metavar="0..1",
        help=f"exposure / frame interval to assume (default: {DUTY_CYCLE:g})",
    )
    parser.add_argument(
        "--niqe",
        type=Path,
        metavar="FILE",
        help="parameters of NIQE from `flowdeblur data niqe` (default: scikit-image's photographs)",
    )
    parser.add_argument("--overwrite", action="store_true", help="write into an existing DIR")
    return parser.parse_args(argv)
