"""``flowdeblur data niqe``: fit the parameters of NIQE to sharp images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser

_DESCRIPTION = """\
Fit the parameters of NIQE, a metric of `metrics=no_reference`, to sharp images. Blocks of 96x96
pixels count where they are sharp. Without IMAGES the six photographs of scikit-image are taken
that the embedded scenes use for training and validation: so the default parameters were made."""

_EPILOG = """\
example:
  flowdeblur data niqe mine.safetensors photos/
  flowdeblur evaluate weights=PATH metrics=no_reference metrics.niqe.parameters=mine.safetensors"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: an image cannot be read or is too small, or there are too few.
    """
    parser = command_parser("data niqe", _DESCRIPTION, _EPILOG)
    parser.add_argument("out", metavar="OUT", type=Path, help="file to write, as .safetensors")
    parser.add_argument(
        "images", metavar="IMAGES", type=Path, nargs="*", help="images, or folders of images"
    )
    arguments = parser.parse_args(argv)

    from flowdeblur.evaluation.niqe import Naturalness
    from flowdeblur.scenes.textures import PHOTOGRAPHS, photograph_levels
    from flowdeblur.video.images import list_images

    names: list[str | Path] = [
        path
        for each in arguments.images
        for path in (list_images(each) if each.is_dir() else [each])
    ] or [*PHOTOGRAPHS["train"], *PHOTOGRAPHS["val"]]
    Naturalness.of_sharp_images(map(photograph_levels, names)).write(arguments.out)
    print(f"{arguments.out}: parameters of NIQE, of {len(names)} images")
    return 0
