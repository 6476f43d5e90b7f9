"""``flowdeblur deblur --explain``: arguments, checks, and the explanation itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.cli.arguments import share
from flowdeblur.errors import UserError
from flowdeblur.explain import DUTY_CYCLE

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    import torch

    from flowdeblur.types import Network
    from flowdeblur.video.clip import FrameReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options about explanations."""
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
        type=share,
        metavar="0..1",
        help=f"exposure / frame interval to assume for the kernels (default: {DUTY_CYCLE:g})",
    )


def check(arguments: argparse.Namespace, reader: FrameReader | None) -> None:
    """Check, before any work, that the explanation can be written and replaces nothing unasked.

    Args:
        arguments: arguments of the command.
        reader: the clip; None where the command restores several, or a pipe.

    Raises:
        UserError: it cannot.
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

    from flowdeblur.explain.explain_clip import check_choice
    from flowdeblur.video.journal import is_unfinished

    check_choice(arguments.frames, reader)
    for taken, name in ((reader.path, "IN"), (Path(arguments.output), "OUT")):
        if folder.resolve() == taken.resolve():
            raise UserError(f"{folder}: is {name} itself; name another folder for --explain")
    resumes = is_unfinished(Path(arguments.output))
    check_folder(folder, overwrite=arguments.overwrite or resumes, option="--explain")


def check_folder(folder: Path, *, overwrite: bool, option: str) -> None:
    """Check that a folder for a page can be written and replaces nothing unasked.

    Raises:
        UserError: it cannot.
    """
    if folder.is_file():
        raise UserError(f"{folder}: is a file; name a folder for {option}")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder.absolute().parent}: no such folder; create it")
    if _is_filled(folder) and not overwrite:
        raise UserError(f"{folder}: exists already; name another folder or pass --overwrite")


def write_explanation(
    arguments: argparse.Namespace, network: Network, reader: FrameReader, device: torch.device
) -> None:
    """Write the explanation if it is asked for, and print where it is.

    A command that resumes an unfinished OUT has written it before.
    """
    if arguments.explain is None:
        return
    if _is_filled(arguments.explain) and not arguments.overwrite:
        return

    from flowdeblur.explain.explain_clip import explain_clip

    duty_cycle = DUTY_CYCLE if arguments.duty_cycle is None else arguments.duty_cycle
    explained = explain_clip(
        network,
        reader,
        arguments.explain,
        chosen=arguments.frames,
        duty_cycle=duty_cycle,
        device=device,
        cuts=arguments.cuts,
    )
    gains = [each.motion.gain for each in explained if each.motion is not None]
    mean = f" (re-blur gain {sum(gains) / len(gains):+.2f} dB)" if gains else ""
    count = f"{len(explained)} frame{'s' * (len(explained) != 1)}"
    print(f"explained {count}{mean}: {arguments.explain / 'index.html'}")


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _frames(text: str) -> list[int]:
    parts = text.split(",")
    if not all(each.isascii() and each.isdecimal() for each in parts):
        raise argparse.ArgumentTypeError(f"must be whole numbers from 0, as 0,10,20, not {text}")
    return [int(each) for each in parts]
