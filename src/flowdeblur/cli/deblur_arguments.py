"""The arguments of ``flowdeblur deblur``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from flowdeblur.cli import explaining
from flowdeblur.cli.arguments import add_network, command_parser, share
from flowdeblur.explain import MAX_PREVIEW

_DESCRIPTION = """\
Remove motion blur from videos, folders of frames and images. Every frame is restored, the first
and last included; size, frame rate, time stamps, colours, sound and subtitles are kept."""

_EPILOG = """\
examples:
  flowdeblur deblur shaky.mp4 sharp.mp4
  flowdeblur deblur shaky.mp4 sharp.mp4 --weights small --scale auto
  flowdeblur deblur shaky.mp4 preview/ --preview 6
  flowdeblur deblur shaky.mp4 sharp.mp4 --only-blurry --strength 0.8 --compare wipe
  flowdeblur deblur shaky.mp4 sharp.mp4 --range 10s-25s
  flowdeblur deblur frames/ restored/ --weights runs/ID --device cpu
  flowdeblur deblur frames/ restored.mp4 --fps 24
  flowdeblur deblur first.png second.png sharp.png
  flowdeblur deblur shaky.mp4 sharp.mp4 --explain explanation/
  flowdeblur deblur 'clips/*.mp4' restored/ --shard 1/4
  find . -name '*.mov' | flowdeblur deblur - restored/
  ffmpeg ... -f rawvideo -pix_fmt rgb24 - | flowdeblur deblur --raw 1280x720@30 - - | ffmpeg ...

IN is a video, a folder of frames in natural order, images (together one clip; a single one is
given to the network twice), a quoted pattern, or - for a list of these, one a line.
OUT is a video, a folder for PNG files, or for one or two images an image: the first, restored.
With several IN, a pattern, a list or --shard, OUT is a folder for one result of each IN under its
name; results that exist are skipped, and an IN that fails does not stop the others.

A video or image is written atomically; a folder of frames grows, and the same command resumes it
after an interruption. If IN is damaged or cut off, damaged frames pass through, all others are
restored, OUT is written, an error reports the damage, and the exit status is 1. Mistakes on the
command line change nothing, with exit status 2. See docs/deblur.md."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments after ``flowdeblur deblur``; ``inputs`` and ``output`` are names."""
    parser = command_parser(
        "deblur", _DESCRIPTION, _EPILOG, usage="flowdeblur deblur IN [IN ...] OUT [options]"
    )
    parser.add_argument("paths", metavar="IN, OUT", nargs="+", help="the last is OUT; see below")
    add_network(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT; in a folder, files of the same name (others stay)",
    )
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", help="the I-th of N parts of many IN, from 1"
    )
    parser.add_argument(
        "--raw",
        metavar="SIZE@RATE|y4m",
        help="raw video (rgb24; 1280x720@30:rgb48le for 16 bits) or Y4M from standard input to "
        "standard output: --raw 1280x720@30 - -",
    )
    _add_controls(parser.add_argument_group("controls"))
    _add_video(parser.add_argument_group("videos"))
    _add_speed(parser.add_argument_group("memory and speed"))
    explaining.add_arguments(parser)
    arguments = parser.parse_intermixed_args(_with_threshold(argv))
    *arguments.inputs, arguments.output = arguments.paths
    if not arguments.inputs:
        parser.error("OUT is missing: name IN and OUT")
    return arguments


def _add_controls(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preview",
        type=_number(1, MAX_PREVIEW),
        metavar="N",
        help="restore N frames spread over the clip into the folder OUT, with a page to compare",
    )
    group.add_argument(
        "--scale",
        default="1",
        metavar="S|auto",
        help="restore at a lower scale (0.5), at several (0.25,0.5,1), or choose by the blur "
        "(auto); for long blur, and faster below 1 (default: %(default)s)",
    )
    group.add_argument(
        "--ensemble",
        type=int,
        default=1,
        metavar="2|4|8",
        help="take the mean over mirrored and turned views of each frame: better, and as many "
        "times slower",
    )
    group.add_argument(
        "--strength",
        type=share,
        default=1.0,
        metavar="0..1",
        help="blend of input (0) and restored frame (1, the default)",
    )
    group.add_argument(
        "--only-blurry",
        type=_only_blurry,
        metavar="[PIXELS]",
        help="leave frames with less estimated blur as they are (default threshold: 3 pixels)",
    )
    group.add_argument("--blur-csv", metavar="FILE", help="write the estimated blur of every frame")
    group.add_argument(
        "--range",
        metavar="A-B",
        help="restore this part only: 10s-25s, or frames 100-250; either end may be left out",
    )
    group.add_argument(
        "--compare",
        choices=("side", "split", "wipe", "input"),
        help="also write a comparison video beside OUT; input: only IN, encoded like OUT",
    )
    group.add_argument("--keep-grain", action="store_true", help="put the fine noise of IN back")
    group.add_argument(
        "--no-cuts",
        dest="cuts",
        action="store_false",
        help="let the network pair frames across cuts between shots",
    )


def _add_video(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--codec",
        choices=("h264", "hevc", "prores", "ffv1"),
        help="hevc and prores keep 10 bits, ffv1 is lossless (default: h264, 8 bits)",
    )
    group.add_argument(
        "--crf",
        type=_number(0, 51),
        metavar="0..51",
        help="quality of h264 (default: 17) and hevc (default: 19); 0 is best and largest",
    )
    group.add_argument(
        "--preset",
        choices=("ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"),
        help="speed of h264 and hevc; slower is smaller (default: medium)",
    )
    group.add_argument(
        "--fps",
        type=_rate,
        metavar="RATE",
        help="frame rate of a video made from images, as 24 or 30000/1001 (default: 30)",
    )


def _add_speed(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16", "bf16"),
        default="auto",
        help="precision of convolutions; auto takes 16 bits where the device computes in them "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--tile",
        type=_tile,
        metavar="PIXELS",
        help="restore in parts of this size, a multiple of 64 from 192 on, to save memory; exact "
        "for the paper's network (default: whole frames, tiles if memory is short)",
    )
    group.add_argument(
        "--verify", action="store_true", help="measure what tiles change on the first frame"
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first: for long clips on a CPU, with a C++ compiler",
    )
    group.add_argument(
        "--batch",
        type=_number(1, 64),
        metavar="N",
        help="frames at a time (default: 1 on a CPU, what fits up to 8 on a GPU)",
    )


def _with_threshold(argv: Sequence[str]) -> list[str]:
    """Give ``--only-blurry`` a value where none follows, so that it takes no file for one."""
    given = list(argv)
    for place, each in enumerate(given):
        following = given[place + 1] if place + 1 < len(given) else ""
        if each == "--only-blurry":
            given[place] = "--only-blurry=default"
            if _is_number(following):
                given[place : place + 2] = [f"--only-blurry={following}"]
    return given


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _only_blurry(text: str) -> float | bool:
    if text == "default":
        return True
    if not _is_number(text) or not 0 <= float(text) < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of pixels, 0 or more, not {text}")
    return float(text)


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {lowest} to {highest}, not {text}"
            )
        return int(text)

    return parse


def _tile(text: str) -> int:
    if not text.isdecimal() or int(text) < 192 or int(text) % 64:
        raise argparse.ArgumentTypeError(f"must be a multiple of 64 from 192 on, not {text}")
    return int(text)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return rate


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f"must be I/N with I from 1 to N, as 1/4, not {text}")
    return int(index), int(count)
