"""Parsers of commands, and the arguments that several commands have."""

from __future__ import annotations

import argparse
from typing import Any


def command_parser(
    name: str, description: str, epilog: str | None = None, **options: Any
) -> argparse.ArgumentParser:
    """Make the parser of ``flowdeblur NAME``, whose texts are printed as they are written."""
    return argparse.ArgumentParser(
        f"flowdeblur {name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add ``--weights``, ``--allow`` and ``--device``."""
    parser.add_argument(
        "--weights",
        metavar="NAME|PATH",
        default="default",
        help="default or small, which come with flowdeblur, a .safetensors file, or a run's folder",
    )
    add_allow(parser)
    parser.add_argument(
        "--device", help="cpu, cuda, cuda:1, ... (default: the GPU if there is one)"
    )


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow``."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="load weights of a network of this installed package; its code runs, so name only "
        "packages that you trust",
    )


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")
    return value


def count(text: str) -> int:
    """Parse an integer from 1."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer above 0, not {text}")
    return int(text)
