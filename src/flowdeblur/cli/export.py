"""``flowdeblur export``: a network for programs without this package."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import add_allow, command_parser
from flowdeblur.cli.outputs import check_output, writing
from flowdeblur.errors import UserError

_DESCRIPTION = """\
Write a network as an ONNX model or a torch.export program, for any height and width. The file is
compared with PyTorch at three sizes before it gets its name. Or write its weights again, at half
the size, or with their licence."""

_EPILOG = """\
examples:
  flowdeblur export weights.safetensors deblur.onnx
  flowdeblur export weights.safetensors deblur.onnx --layout planes --recurrence doubling
  flowdeblur export runs/ID deblur.pt2 --half
  flowdeblur export runs/ID weights.safetensors --half --licence CC-BY-4.0

A model or program takes frames (B, T, 3, H, W), RGB in [0, 1], float32, and returns restored
(B, 3, H, W), float32, not clamped; with --layout planes it takes (1, 3T, H, W) and returns
(1, 3, H, W), as plug-ins of video programs expect. --recurrence scan is the fastest on CPUs;
doubling needs no Scan, which many runtimes lack, and takes frames of up to 4096 pixels a side.
ONNX needs the extra export: pip install 'flowdeblur[export]'. docs/export.md shows how to run the
file and what it costs."""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or the weights are missing or damaged.
        RuntimeFailureError: the file computes something else than the network, or cannot be
            written. OUT is as it was before.
    """
    arguments = _parser().parse_args(argv)
    suffixes = (".onnx", ".pt2", ".safetensors")
    check_output(arguments.output, suffixes, overwrite=arguments.overwrite)

    safetensors = arguments.output.suffix.lower() == ".safetensors"
    for option in ("layout", "recurrence"):
        if safetensors and getattr(arguments, option) is not None:
            raise UserError(f"--{option}: is for .onnx and .pt2 files; leave it out")

    from flowdeblur import weights

    path = weights.locate(arguments.weights)
    facts = {"licence": arguments.licence} if arguments.licence else {}
    if safetensors:
        with writing(arguments.output):
            weights.copy(path, arguments.output, half=arguments.half, **facts)
        print(f"exported: {arguments.output}")
        return 0

    from flowdeblur.weights.export import export
    from flowdeblur.weights.restorer import PlanesRestorer, Restorer

    with writing(arguments.output):
        checks = export(
            path,
            arguments.output,
            half=arguments.half,
            allow=arguments.allow,
            layout=PlanesRestorer if arguments.layout == "planes" else Restorer,
            recurrence=arguments.recurrence,
            **facts,
        )
    print("compared with PyTorch in float32 on this CPU")
    print("        size   difference      time")
    for (height, width), difference, slowdown in checks:
        print(f"  {f'{height} x {width}':>10}   {difference:10.1e}   x {slowdown:.2f}")
    print(f"exported: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("export", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="a .safetensors file, the folder of a run, or a name"
    )
    parser.add_argument(
        "output", metavar="OUT", type=Path, help="a file, .onnx, .pt2 or .safetensors"
    )
    parser.add_argument(
        "--half", action="store_true", help="float16 inside: half the size, models for GPUs"
    )
    parser.add_argument(
        "--layout",
        choices=("frames", "planes"),
        help="dimensions of the input: frames (B, T, 3, H, W), the default, or planes "
        "(1, 3T, H, W) with the names input and output",
    )
    parser.add_argument(
        "--recurrence",
        choices=("scan", "doubling"),
        help="how ONNX computes the RNN: with the operator Scan, the default, or in log2 steps",
    )
    parser.add_argument(
        "--licence", metavar="TEXT", help="of the weights, an SPDX identifier or a sentence"
    )
    add_allow(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")
    return parser
