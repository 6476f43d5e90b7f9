"""``flowdeblur import-caffe``: take over the model that the paper's authors released."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.outputs import check_output, writing

_DESCRIPTION = """\
Convert the Caffe model that the paper's authors released into weights of this project. Caffe is
not needed. The result restores pictures as they are; that the released scripts transpose every
picture is undone."""

_EPILOG = """\
example:
  flowdeblur import-caffe released.caffemodel released.safetensors
  flowdeblur deblur shaky.mp4 sharp.mp4 --weights released.safetensors

The authors state no licence for their model; ask them before you pass the result on."""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or FILE is damaged or another model; OUT is as it was
            before.
        RuntimeFailureError: OUT cannot be written.
    """
    arguments = _parser().parse_args(argv)
    check_output(arguments.output, (".safetensors",), overwrite=arguments.overwrite)

    from flowdeblur import weights
    from flowdeblur.weights import caffe

    network = caffe.import_model(arguments.input)
    with writing(arguments.output):
        weights.save(
            arguments.output,
            network,
            caffe.CONFIG,
            training=f"by the paper's authors; imported from {arguments.input.name}",
            licence="not stated by the authors",
        )
    count = sum(each.numel() for each in network.parameters())
    print(f"imported {count:,} parameters: {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowdeblur import-caffe",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="FILE.caffemodel", type=Path, help="the released model")
    parser.add_argument(
        "output", metavar="OUT.safetensors", type=Path, help="weights for this project"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")
    return parser
