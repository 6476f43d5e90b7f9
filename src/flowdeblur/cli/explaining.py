"""``flowdeblur deblur --explain``: its arguments, checks before the work, and the pass itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.errors import UserError
from flowdeblur.explain import DUTY_CYCLE

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    import torch

    from flowdeblur.types import Network
    from flowdeblur.video.clip import FrameReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that belong together."""
    group = parser.add_argument_group("explanation")
    group.add_argument(
        "--explain",
        type=Path,
        metavar="DIR",
        help="write a page that shows flow, blur kernels, RNN weights and scores of some frames",
    )
    group.add_argument(
        "--frames",
        type=_frames,
        metavar="N,N,...",
        help="the frames to explain, from 0 (default: every tenth, up to twenty)",
    )
    group.add_argument(
        "--duty-cycle",
        type=_share,
        metavar="0..1",
        help=f"exposure / frame interval to assume for the kernels (default: {DUTY_CYCLE:g})",
    )


def check(arguments: argparse.Namespace, reader: FrameReader | None) -> None:
    """See, before any work, that the explanation can be written and that nothing gets lost.

    Args:
        arguments: of the command.
        reader: the clip; None where the command restores several.

    Raises:
        UserError: one line that names the remedy.
    """
    folder: Path | None = arguments.explain
    if folder is None:
        for name in ("frames", "duty_cycle"):
            if getattr(arguments, name) is not None:
                option = name.replace("_", "-")
                raise UserError(f"--{option}: belongs to --explain DIR; add it or leave both out")
        return
    if reader is None:
        raise UserError("--explain: explains one clip; name a single IN")

    from flowdeblur.explain.clip import check_choice
    from flowdeblur.video.journal import is_unfinished

    check_choice(arguments.frames, reader)
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name a folder for --explain")
    for taken, name in ((reader.path, "IN"), (Path(arguments.output), "OUT")):
        if folder.resolve() == taken.resolve():
            raise UserError(f"{folder}: is {name} itself; name another folder for --explain")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder.absolute().parent}: no such folder; create it")
    if _is_told(arguments) and not is_unfinished(Path(arguments.output)):
        raise UserError(f"{folder}: exists already; name another folder or pass --overwrite")


def explain(
    arguments: argparse.Namespace, network: Network, reader: FrameReader, device: torch.device
) -> None:
    """Write the explanation if it is asked for, and say where it is.

    A command that goes on with an unfinished OUT has written it before.
    """
    if arguments.explain is None or _is_told(arguments):
        return

    from flowdeblur.explain.clip import explain_clip

    duty_cycle = DUTY_CYCLE if arguments.duty_cycle is None else arguments.duty_cycle
    told = explain_clip(
        network,
        reader,
        arguments.explain,
        chosen=arguments.frames,
        duty_cycle=duty_cycle,
        device=device,
        cuts=arguments.cuts,
    )
    gains = [each.motion.gain for each in told if each.motion is not None]
    mean = f" (re-blur gain {sum(gains) / len(gains):+.2f} dB)" if gains else ""
    count = f"{len(told)} frame{'s' * (len(told) != 1)}"
    print(f"explained {count}{mean}: {arguments.explain / 'index.html'}")


def _is_told(arguments: argparse.Namespace) -> bool:
    """Whether an explanation is there that is not to be replaced."""
    folder: Path = arguments.explain
    return folder.is_dir() and any(folder.iterdir()) and not arguments.overwrite


def _frames(text: str) -> list[int]:
    parts = text.split(",")
    if not all(each.isascii() and each.isdecimal() for each in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers from 0, as 0,10,20, not {text}")
    return [int(each) for each in parts]


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")
    return share
