"""``flowdeblur data verify``: compare a data set on this machine with what was published."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowdeblur.cli.arguments import command_parser
from flowdeblur.errors import UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    from flowdeblur.verification import Verifiable

_DESCRIPTION = """\
Check a data set before it is trained or scored on: clips and frames against the published numbers,
every file decodes, frames are consecutive and of one size, blurry and sharp frames belong together
and cover each other, and training shares no video or image with validation and testing, not even
cropped, mirrored or re-encoded. Problems are listed with their remedies; the exit status is then
1."""

_EPILOG = """\
examples:
  flowdeblur data verify dvd /data/DVD
  flowdeblur data verify gopro /data/GOPRO_Large train.blur=gamma
  flowdeblur data verify bsd /data/BSD train.exposure=1ms8ms --split test
  flowdeblur data verify reds /data/REDS --against dvd /data/DVD --against gopro /data/GOPRO_Large
  flowdeblur data verify frames /data/mine 'train.blurry=*/blur' 'train.sharp=*/sharp' --split train

KEY=VALUE are settings of conf/data/NAME.yaml, the same as in training without the leading data."""


def main(argv: Sequence[str]) -> int:
    """Run the command; 1 if anything is wrong with the data.

    Raises:
        UserError: a mistake in the arguments.
    """
    parser = command_parser("data verify", _DESCRIPTION, _EPILOG)
    parser.add_argument("name", metavar="NAME", help="of conf/data: dvd, gopro, reds, frames, ...")
    parser.add_argument("root", metavar="ROOT", help="folder of the data set (data.root)")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of conf/data/NAME.yaml")
    parser.add_argument(
        "--split",
        action="append",
        choices=("train", "val", "test"),
        help="check only this one; may be repeated",
    )
    parser.add_argument(
        "--against",
        action="append",
        nargs=2,
        default=[],
        metavar=("NAME", "ROOT"),
        help="compare training also with the held-out splits of another data set",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="threads; default: one a processor"
    )
    arguments = parser.parse_intermixed_args(argv)
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: expected 1 or more")

    from flowdeblur.verification import verify

    sources = _sources(arguments.name, arguments.root, arguments.settings)
    chosen = {
        splits: source
        for splits, source in sources.items()
        if arguments.split is None or set(arguments.split) & set(splits.split(", "))
    }
    if not chosen:
        raise UserError(f"--split: {arguments.name} has only {' and '.join(sources)}")
    for name, root in arguments.against:
        chosen |= {
            f"{name} {splits}": source
            for splits, source in _sources(name, root, ()).items()
            if splits != "train"
        }
    report = verify(chosen, arguments.workers)
    print(report.to_text(shutil.get_terminal_size((120, 24)).columns))
    return 1 if report.findings else 0


def _sources(name: str, root: str, settings: Sequence[str]) -> dict[str, Verifiable]:
    """The sources of conf/data/NAME.yaml with all their frames, by what they are used for."""
    from dataclasses import replace

    from omegaconf import OmegaConf

    from flowdeblur.cli.overrides import compose_configuration
    from flowdeblur.engine.configuration import instantiate, plain
    from flowdeblur.verification import Verifiable

    overrides = [f"data={name}", "run_dir=.", *(f"data.{each}" for each in settings)]
    config = compose_configuration("train", overrides)
    if "root" not in list(config.data):  # its value is still missing, so that "in" is False
        raise UserError(f"{name}: is no data set in a folder, so that there is nothing to verify")
    OmegaConf.update(config, "data.root", root)
    node = plain(config)["data"]
    sources: list[tuple[str, Verifiable]] = []
    for split in ("train", "val", "test"):
        if node.get(split) is None:
            continue
        source = instantiate(node[split], f"data.{split}")
        if not isinstance(source, Verifiable):
            raise UserError(f"{name}: data.{split} is not read from files that could be verified")
        sources.append((split, replace(source, first=0, every=1)))  # type: ignore[type-var]
    # Held-out splits that are the same are checked once; training is compared with each of them.
    merged = dict(sources[:1]) if sources and sources[0][0] == "train" else {}
    held_out = [(split, source) for split, source in sources if split != "train"]
    for _, source in held_out:
        merged[", ".join(split for split, each in held_out if each == source)] = source
    return merged
