"""The arguments of ``flowdeblur deblur``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from fractions import Fraction

from flowdeblur.cli import explaining

_DESCRIPTION = """\
Remove motion blur from videos, folders of frames and pictures. Every frame is restored, the first
and last included; size, frame rate, time stamps, colours, sound and subtitles are kept."""

_EPILOG = """\
examples:
  flowdeblur deblur shaky.mp4 sharp.mp4
  flowdeblur deblur shaky.mp4 sharp.mp4 --weights small
  flowdeblur deblur frames/ restored/ --weights runs/<id> --device cpu
  flowdeblur deblur frames/ restored.mp4 --fps 24
  flowdeblur deblur first.png second.png sharp.png
  flowdeblur deblur shaky.mp4 sharp.mp4 --explain why/
  flowdeblur deblur 'clips/*.mp4' restored/ --shard 1/4
  find . -name '*.mov' | flowdeblur deblur - restored/

IN is a video, a folder of frames in natural order, pictures (which are one clip together; a single
one is given to the network twice), a quoted pattern, or - for a list of these, one a line.
OUT is a video, a folder for PNG files, or for one or two pictures a picture: the first, restored.
With several IN, a pattern, a list or --shard, OUT is a folder that takes one result of each IN
under its name; those that are there already are skipped, and one that fails stops no other.

OUT appears only when it is complete, but a folder of frames grows: after an interruption, the same
command goes on from there. If IN is damaged or cut off, damaged frames pass through, all others are
restored, OUT is written, an error tells what is wrong, and the exit status is 1. Mistakes on the
command line leave everything untouched, with exit status 2. docs/deblur.md tells more."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments after ``flowdeblur deblur``; ``inputs`` and ``output`` are names."""
    parser = argparse.ArgumentParser(
        prog="flowdeblur deblur",
        usage="flowdeblur deblur IN [IN ...] OUT [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", metavar="IN, OUT", nargs="+", help="the last one is OUT; see below"
    )
    parser.add_argument(
        "--weights",
        metavar="NAME|PATH",
        default="default",
        help="default or small, which come with flowdeblur, a .safetensors file, or a run's folder",
    )
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ... (default: the GPU if there is one)"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT; in a folder, files of the same name (others stay)",
    )
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", help="the I-th of N parts of many IN, from 1"
    )
    parser.add_argument(
        "--no-cuts",
        dest="cuts",
        action="store_false",
        help="let the network pair frames across cuts between shots",
    )

    video = parser.add_argument_group("videos")
    video.add_argument(
        "--codec",
        choices=("h264", "hevc", "prores", "ffv1"),
        help="hevc and prores keep 10 bits, ffv1 loses nothing (default: h264, 8 bits)",
    )
    video.add_argument(
        "--crf",
        type=_number(0, 51),
        metavar="0..51",
        help="quality of h264 (default: 17) and hevc (default: 19); 0 is best and largest",
    )
    video.add_argument(
        "--preset",
        choices=("ultrafast", "veryfast", "fast", "medium", "slow", "veryslow"),
        help="speed of h264 and hevc; slower is smaller (default: medium)",
    )
    video.add_argument(
        "--fps",
        type=_rate,
        metavar="RATE",
        help="frames a second of a video made from pictures, as 24 or 30000/1001 (default: 30)",
    )

    network = parser.add_argument_group("memory and speed")
    network.add_argument(
        "--tile",
        type=_tile,
        metavar="PIXELS",
        help="restore in overlapping tiles, a multiple of 64 from 192 on; less exact (default: "
        "whole frames, tiles if memory is short)",
    )
    network.add_argument(
        "--verify", action="store_true", help="measure what tiles change on the first frame"
    )
    network.add_argument(
        "--batch",
        type=_number(1, 64),
        metavar="N",
        help="frames at a time (default: 1 on a CPU, what fits up to 8 on a GPU)",
    )
    network.add_argument(
        "--dtype",
        choices=("float32", "bf16"),
        default="float32",
        help="bf16 is faster where the device has it, and less exact (default: %(default)s)",
    )
    explaining.add_arguments(parser)
    arguments = parser.parse_intermixed_args(argv)
    *arguments.inputs, arguments.output = arguments.paths
    if not arguments.inputs:
        parser.error("OUT is missing: name IN and OUT")
    return arguments


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
