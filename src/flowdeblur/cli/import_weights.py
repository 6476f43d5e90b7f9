"""``flowdeblur import``: convert published weights into weights of this project."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser
from flowdeblur.cli.outputs import check_output, writing

_DESCRIPTION = """\
Convert published weights into a .safetensors file of this project: the Caffe model that the paper's
authors released (.caffemodel; Caffe is not needed), or a PyTorch checkpoint of NAFNet, ESTRNN or
DeblurGAN (any other suffix; the architecture is recognized by its parameters). Code in a checkpoint
is never executed.

The released Caffe scripts transpose every image; the imported network takes images as they are."""

_EPILOG = """\
examples:
  flowdeblur import released.caffemodel released.safetensors
  flowdeblur import NAFNet-GoPro-width32.pth nafnet.safetensors
  flowdeblur deblur shaky.mp4 sharp.mp4 --weights nafnet.safetensors

Mind the licence of the original weights; the authors of the Caffe model state none."""


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
    from flowdeblur.weights import caffe, published

    if arguments.input.suffix == ".caffemodel":
        network, config = caffe.import_model(arguments.input), caffe.CONFIG
        origin, licence = "by the paper's authors", "not stated by the authors"
    else:
        network, config, label = published.import_checkpoint(arguments.input)
        origin, licence = f"published weights of {label}", "that of the original weights"
    with writing(arguments.output):
        weights.save(
            arguments.output,
            network,
            config,
            training=f"{origin}; imported from {arguments.input.name}",
            licence=licence,
        )
    count = sum(each.numel() for each in network.parameters())
    print(f"imported {count:,} parameters ({origin}): {arguments.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("import", _DESCRIPTION, _EPILOG)
    parser.add_argument("input", metavar="FILE", type=Path, help="published weights")
    parser.add_argument(
        "output", metavar="OUT.safetensors", type=Path, help="weights for this project"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT")
    return parser
