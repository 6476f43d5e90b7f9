"""``flowdeblur deblur``: restore videos, folders of frames and pictures."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowdeblur.cli import explaining
from flowdeblur.cli.deblur_arguments import parse
from flowdeblur.cli.signals import stopping_cleanly
from flowdeblur.errors import FlowdeblurError, RuntimeFailureError, UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    import torch

    from flowdeblur.networks.tiles import Tiled
    from flowdeblur.video.clip import FrameReader
    from flowdeblur.video.outputs import Output


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the arguments after ``flowdeblur deblur``.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a mistake in the arguments or the files; OUT is as it was before.
        RuntimeFailureError: IN is damaged, and OUT holds what could be decoded; or the
            network failed or OUT cannot be written, and OUT is as it was before, or a folder
            to go on with.
        KeyboardInterrupt: Ctrl-C, or the process was asked to end; the same holds of OUT.
    """
    arguments = parse(argv)
    with stopping_cleanly():
        try:
            return _run(arguments)
        except OSError as error:
            raise RuntimeFailureError(f"{error.filename}: {error.strerror}") from None


def _run(arguments: argparse.Namespace) -> int:
    from flowdeblur.devices import find_device
    from flowdeblur.video.inputs import find_sources
    from flowdeblur.video.outputs import choose_encoding, choose_output, collect, is_finished
    from flowdeblur.weights import load

    encoding = choose_encoding(arguments.codec, arguments.crf, arguments.preset)
    sources = find_sources(_names(arguments.inputs))
    if not _is_collection(arguments, bool(sources[0].images)):
        (source,) = sources
        if arguments.shard:
            raise UserError("--shard: pictures are one clip, which is not shared out; leave it out")
        reader = source.open(arguments.fps)
        output = choose_output(
            arguments.output, source, reader, encoding, overwrite=arguments.overwrite
        )
        explaining.check(arguments, reader)
        device = find_device(arguments.device)
        network = load(arguments.weights)
        explaining.explain(arguments, network, reader, device)
        _restore(network, reader, output, device, arguments)
        return 0

    explaining.check(arguments, None)
    index, count = arguments.shard or (1, 1)
    targets = collect(Path(arguments.output), sources, encoding)
    device = find_device(arguments.device)
    network = load(arguments.weights)
    Path(arguments.output).mkdir(exist_ok=True)
    failed, shard = 0, list(targets.items())[index - 1 :: count]
    for path, source in shard:
        if is_finished(path) and not arguments.overwrite:
            print(f"{path}: there already, skipped")
            continue
        try:
            reader = source.open(arguments.fps)
            output = choose_output(
                f"{path}{os.sep if source.path.is_dir() else ''}",
                source,
                reader,
                encoding,
                overwrite=arguments.overwrite,
            )
            _restore(network, reader, output, device, arguments)
        except (FlowdeblurError, OSError) as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    if failed:
        raise RuntimeFailureError(f"{failed} of {len(shard)} inputs failed, see above")
    return 0


def _restore(
    network: Any,  # tiled or not
    reader: FrameReader,
    output: Output,
    device: torch.device,
    arguments: argparse.Namespace,
) -> None:
    """Restore a clip: the place where frames, network and output meet."""
    import torch
    from tqdm import tqdm

    from flowdeblur.networks.tiles import Tiled
    from flowdeblur.video.background import reading_ahead, writing_behind
    from flowdeblur.video.journal import origin
    from flowdeblur.video.memory import portion
    from flowdeblur.video.restore import restore

    tile, batch = portion(reader.size, device, tile=arguments.tile)
    tiled: Any = Tiled(network, tile) if tile and tile < max(reader.size) else None
    if tiled and not arguments.tile:
        _tell(f"memory is short for {reader.path}: restored in tiles of {tile}")
    if arguments.verify:
        _verify(tiled, reader, device)
    batch = arguments.batch or batch
    done = output.begin(origin(reader, network, arguments.tile, arguments.dtype, arguments.cuts))
    started, count, ahead = time.perf_counter(), 0, batch + 1
    with (
        output.writing() as sink,
        writing_behind(sink, ahead) as write,
        reading_ahead(reader, ahead) as frames,
        tqdm(
            total=reader.expected,
            initial=len(done),
            unit=" frames",
            disable=None,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}, {rate_noinv_fmt}, {remaining} left",
        ) as bar,
    ):
        for frame in restore(
            tiled or network,
            frames,
            device=device,
            dtype=torch.bfloat16 if arguments.dtype == "bf16" else torch.float32,
            batch=batch,
            cuts=arguments.cuts,
            done=done,
        ):
            write(frame)
            count += 1
            bar.update()
    seconds = time.perf_counter() - started
    print(f"restored {count} frame{'s' * (count != 1)} in {seconds:.1f} s: {output.path}")
    if reader.damage:
        raise RuntimeFailureError(
            f"{reader.path}: {reader.damage}; {output.path} holds what it still gave"
        )


def _verify(tiled: Tiled | None, reader: FrameReader, device: torch.device) -> None:
    """Print what tiles do to the clip's first frame."""
    from flowdeblur.networks.tiles import difference
    from flowdeblur.video.restore import to_tensor, windows

    if tiled is None:
        _tell(f"{reader.path}: restored without tiles, which needs no --verify")
        return
    window = next(windows(reader, tiled.frame_offsets))
    off = difference(tiled.to(device).eval(), to_tensor(window, device))
    print(
        f"tiles of {tiled.tile} against the whole frame {window.current.name}: PSNR {off.psnr:.1f} "
        f"dB, largest difference {off.largest:.1f} of 255"
    )


def _names(inputs: Sequence[str]) -> list[str]:
    names: list[str] = []
    for each in inputs:
        names += filter(None, map(str.strip, sys.stdin)) if each == "-" else [each]
    if not names:
        raise UserError("-: the list on the standard input is empty; give one name a line")
    return names


def _is_collection(arguments: argparse.Namespace, pictures: bool) -> bool:
    """Whether OUT takes one result of each IN, though there may be only one."""
    named_itself = len(arguments.inputs) == 1 and Path(arguments.inputs[0]).exists()
    return not pictures and not (named_itself and arguments.shard is None)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)
