"""``flowdeblur data pack``: frames in few files without compression, for fast training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowdeblur.cli.arguments import command_parser

_DESCRIPTION = """\
Decode folders of frames once and write them without compression, as two NumPy arrays per clip and
an index. Training then maps the files and reads patches without decoding. A frame of 1280x720 takes
2.8 MB. An interrupted call is resumed by the same call."""

_EPILOG = """\
examples:
  flowdeblur data pack DVD/quantitative_datasets packed/dvd
  flowdeblur data pack REDS/train packed/reds --blurry 'train_blur/*' --sharp 'train_sharp/*'
  python train.py data=packed data.root=packed/dvd 'data.val.clips=[IMG_0030,IMG_0049]'"""


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Raises:
        UserError: a mistake in the arguments, or frames that cannot be packed.
    """
    parser = command_parser("data pack", _DESCRIPTION, _EPILOG)
    parser.add_argument("root", metavar="ROOT", help="folder of the data set")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the packed frames")
    parser.add_argument(
        "--blurry",
        default="*/input",
        metavar="PATTERN",
        help="folders with blurry frames below ROOT; * is the name of a clip (default: */input)",
    )
    parser.add_argument(
        "--sharp", default="*/GT", metavar="PATTERN", help="the same for sharp ones (default: */GT)"
    )
    parser.add_argument("--clips", nargs="+", metavar="NAME", help="pack only these")
    arguments = parser.parse_args(argv)

    from flowdeblur.datasets.folders import FrameFolders
    from flowdeblur.datasets.packed import pack

    source = FrameFolders(arguments.root, arguments.blurry, arguments.sharp, clips=arguments.clips)
    entries = pack(source.pairs(), arguments.out)
    frames = sum(len(entry.frames) for entry in entries)
    size = sum(entry.blurry.bytes + entry.sharp.bytes for entry in entries)
    print(f"{len(entries)} clips, {frames} frames, {size / 1e9:.2f} GB: {arguments.out}")
    return 0
