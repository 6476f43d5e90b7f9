"""``flowdeblur deblur``: restore a video, a folder of frames or a picture."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.errors import Failure, UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    import torch

    from flowdeblur.video.clip import FrameReader, Sink

_DESCRIPTION = """\
Remove motion blur from a video, a folder of frames or a single picture. Every frame is restored,
the first and last included; size, frame rate, time stamps, colours and sound are kept."""

_EPILOG = """\
examples:
  flowdeblur deblur shaky.mp4 sharp.mp4 --weights weights.safetensors
  flowdeblur deblur frames/ restored/ --weights weights.safetensors --device cpu
  flowdeblur deblur frames/ restored.mp4 --weights weights.safetensors --fps 24

A video becomes H.264 in 8 bits (yuv444p where width or height is odd). Its sound is copied as it
is; subtitles, chapters and data streams are not. Rotated videos come out upright.
Pictures in a folder are taken in natural order and written as PNG under the same names. A folder
of two pictures is the shortest clip with motion; a single picture is paired with itself.

OUT appears only when it is complete. If IN is damaged or cut off, all frames that can be decoded
are restored and OUT is written, an error tells what is missing, and the exit status is 1. Mistakes
on the command line leave everything untouched, with exit status 2."""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the arguments after ``flowdeblur deblur``.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a mistake in the arguments or the files; OUT is as it was before.
        Failure: IN is damaged, and OUT holds what could be decoded; or the network failed, and OUT
            is as it was before.
    """
    arguments = _parser().parse_args(argv)
    if arguments.weights is None:
        raise UserError("--weights: name a weights file (.safetensors)")

    from tqdm import tqdm

    from flowdeblur.video.restore import restore
    from flowdeblur.weights import load

    reader = _reader(arguments.input, arguments.fps)
    output = _output(arguments, reader)
    device = _device(arguments.device)
    network = load(arguments.weights)
    started, count = time.perf_counter(), 0
    with output as write:
        restored = restore(network, reader, device=device)
        for frame in tqdm(restored, total=reader.count, unit="frame", disable=None):
            write(frame)
            count += 1
    seconds = time.perf_counter() - started
    print(f"restored {count} frame{'s' * (count != 1)} in {seconds:.1f} s: {arguments.output}")
    if reader.damage:
        raise Failure(
            f"{reader.path}: {reader.damage}; {arguments.output} holds what it still gave"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowdeblur deblur",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "input", metavar="IN", type=Path, help="a video, a folder of frames, or a picture"
    )
    parser.add_argument(
        "output",
        metavar="OUT",
        help="a video (.mp4, .m4v, .mov, .mkv) or a folder for PNG files; for a picture, a picture",
    )
    parser.add_argument("--weights", metavar="NAME|PATH", help="weights of the network")
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ... (default: the GPU if there is one)"
    )
    parser.add_argument(
        "--crf",
        type=_quality,
        metavar="0..51",
        default=17,
        help="quality of a video, 0 is lossless and largest (default: %(default)s)",
    )
    parser.add_argument(
        "--fps",
        type=_rate,
        metavar="RATE",
        help="frames a second of a video made from a folder, as 24 or 30000/1001 (default: 30)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT; in a folder, files of the same name (others stay)",
    )
    return parser


def _quality(text: str) -> int:
    if not text.isdecimal() or int(text) > 51:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 51, not {text}")
    return int(text)


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return rate


def _reader(path: Path, fps: Fraction | None) -> FrameReader:
    from flowdeblur.pictures import SUFFIXES, list_pictures
    from flowdeblur.video.reader import VIDEO_SUFFIXES, PictureReader, VideoReader

    if not path.exists():
        raise UserError(f"{path}: no such file or folder; check the name")
    suffix = path.suffix.lower()
    if path.is_dir():
        return PictureReader(path, list_pictures(path), fps or Fraction(30))
    if suffix in SUFFIXES:
        return PictureReader(path, [path], fps or Fraction(30))
    if suffix not in VIDEO_SUFFIXES:
        known = ", ".join((*VIDEO_SUFFIXES, *SUFFIXES))
        raise UserError(f"{path}: unknown suffix; name a folder or one of {known}")
    if fps is not None:
        raise UserError("--fps: a video keeps its own frame rate; leave --fps out")
    return VideoReader(path)


def _output(arguments: argparse.Namespace, reader: FrameReader) -> AbstractContextManager[Sink]:
    """Choose the writer by what OUT and IN are, after seeing that nothing gets lost."""
    from flowdeblur.pictures import SUFFIXES
    from flowdeblur.video.writer import (
        WRITABLE_SUFFIXES,
        writing_picture,
        writing_pictures,
        writing_video,
    )

    path, suffix = Path(arguments.output), Path(arguments.output).suffix.lower()
    is_folder = path.is_dir() or not suffix or arguments.output.endswith(os.sep)
    from_picture = reader.path.is_file() and reader.path.suffix.lower() in SUFFIXES
    _check_free(path, reader.path, overwrite=arguments.overwrite)
    if from_picture:
        if suffix in SUFFIXES and not is_folder:
            return writing_picture(path)
        raise UserError(f"{path}: a picture becomes a picture; name one of {', '.join(SUFFIXES)}")
    if is_folder:
        if path.is_file():
            raise UserError(f"{path}: is a file; name a folder, or a file with a suffix")
        return writing_pictures(path)
    if suffix in WRITABLE_SUFFIXES:
        source = reader.path if reader.path.is_file() else None
        return writing_video(path, reader.size, reader.format, crf=arguments.crf, source=source)
    if suffix in SUFFIXES:
        raise UserError(f"{path}: a picture cannot hold a clip; name a video or a folder")
    known = ", ".join(WRITABLE_SUFFIXES)
    raise UserError(f"{path}: unknown suffix; name a folder (with a / at its end) or {known}")


def _check_free(path: Path, source: Path, *, overwrite: bool) -> None:
    parent = path.absolute().parent
    if path.resolve() == source.resolve():
        raise UserError(f"{path}: is IN itself; name another OUT")
    if not parent.is_dir():
        raise UserError(f"{parent}: no such folder; create it")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{parent}: cannot be written to; name another OUT")
    taken = any(path.iterdir()) if path.is_dir() else path.exists()
    if taken and not overwrite:
        raise UserError(f"{path}: exists already; name another OUT or pass --overwrite")


def _device(name: str | None) -> torch.device | None:
    import torch

    if name is None:
        return None
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}; use cpu, or leave it out") from None
    return device
