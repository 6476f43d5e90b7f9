"""``flowdeblur deblur``: restore videos, folders of frames and images."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowdeblur.cli import explaining
from flowdeblur.cli.deblur_arguments import parse
from flowdeblur.cli.signals import stopping_cleanly
from flowdeblur.errors import FlowdeblurError, RuntimeFailureError, UserError

if TYPE_CHECKING:  # imported in the functions instead, so that --help does not wait for torch
    from flowdeblur.types import Network
    from flowdeblur.video.deblur import DeblurJob
    from flowdeblur.video.inputs import InputClip
    from flowdeblur.video.report import Report
    from flowdeblur.video.settings import Settings


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: the arguments after ``flowdeblur deblur``.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a mistake in the arguments or the files; OUT is as it was before.
        RuntimeFailureError: IN is damaged, and OUT holds what could be decoded; or the network
            failed or OUT cannot be written, and OUT is as it was before, or a folder to resume.
        KeyboardInterrupt: Ctrl-C, or the process was asked to end; the same holds of OUT.
    """
    arguments = parse(argv)
    with stopping_cleanly():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from dataclasses import fields

    from flowdeblur.devices import find_device
    from flowdeblur.video.deblur import DeblurJob
    from flowdeblur.video.inputs import find_sources
    from flowdeblur.video.settings import Settings
    from flowdeblur.weights import load

    settings = Settings(**{each.name: getattr(arguments, each.name) for each in fields(Settings)})
    if arguments.raw:
        from flowdeblur.video.pipes import open_pipes

        _refuse(arguments, ("preview", "shard", "verify"), "--raw")
        explaining.check(arguments, None)
        find_device(settings.device)
        network = load(arguments.weights, allow=arguments.allow)
        reader, output = open_pipes(arguments.raw, arguments.paths)
        job = DeblurJob(reader, output, settings).checked()
        return _finish(job, network)

    clips = find_sources(_names(arguments.inputs))
    if _is_collection(arguments, bool(clips[0].images)):
        explaining.check(arguments, None)
        return _collect(arguments, clips, settings)
    (clip,) = clips
    if arguments.shard:
        raise UserError("--shard: images are one clip, which cannot be split; leave it out")
    if arguments.preview:
        return _preview(arguments, clip, settings)
    job = DeblurJob.open(clip, arguments.output, settings)
    explaining.check(arguments, job.reader)
    device = find_device(settings.device)
    network = load(arguments.weights, allow=arguments.allow)
    explaining.write_explanation(arguments, network, job.reader, device)
    return _finish(job, network)


def _collect(arguments: argparse.Namespace, clips: Sequence[InputClip], settings: Settings) -> int:
    """Restore many clips into a folder; one that fails stops no other."""
    from flowdeblur.devices import find_device
    from flowdeblur.video.compare import comparison_path
    from flowdeblur.video.deblur import DeblurJob
    from flowdeblur.video.outputs import collect, is_finished
    from flowdeblur.weights import load

    for option in ("preview", "blur_csv"):
        if getattr(arguments, option) is not None:
            raise UserError(f"--{option.replace('_', '-')}: works on one clip; name a single IN")
    index, count = arguments.shard or (1, 1)
    targets = collect(Path(arguments.output), clips, settings.encoding())
    if settings.compare is not None:
        for path in targets.keys() & {comparison_path(each, settings.compare) for each in targets}:
            raise UserError(f"{path}: is a result and a comparison; rename {targets[path].path}")
    find_device(settings.device)
    network = load(arguments.weights, allow=arguments.allow)
    Path(arguments.output).mkdir(exist_ok=True)
    failed, shard = 0, list(targets.items())[index - 1 :: count]
    for path, clip in shard:
        if is_finished(path) and not settings.overwrite:
            print(f"{path}: already exists, skipped")
            continue
        try:
            target = f"{path}{os.sep if clip.path.is_dir() else ''}"
            chosen = settings if clip.is_video else settings.for_images()
            _finish(DeblurJob.open(clip, target, chosen), network)
        except (FlowdeblurError, OSError) as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    if failed:
        raise RuntimeFailureError(f"{failed} of {len(shard)} inputs failed, see above")
    return 0


def _refuse(arguments: argparse.Namespace, options: Sequence[str], beside: str) -> None:
    """Refuse options that would be ignored."""
    for option in options:
        value = getattr(arguments, option)
        if value is not None and value is not False:  # 0 is a value, too
            raise UserError(
                f"--{option.replace('_', '-')}: does not go with {beside}; leave it out"
            )


def _preview(arguments: argparse.Namespace, clip: InputClip, settings: Settings) -> int:
    """Restore a few frames of a clip and write a page."""
    from flowdeblur.explain.preview import write_preview
    from flowdeblur.weights import load

    ignored = ("explain", "frames", "duty_cycle", "blur_csv", "compare", "verify", "compile")
    _refuse(arguments, (*ignored, "codec", "crf", "preset"), "--preview")
    folder = Path(arguments.output)
    read = {clip.path.resolve(), *(each.parent.resolve() for each in clip.images)}
    if folder.resolve() in read:
        raise UserError(f"{folder}: is IN itself; name another folder for --preview")
    explaining.check_folder(folder, overwrite=settings.overwrite, option="--preview")
    reader = clip.open(settings.rate)
    result = write_preview(
        load(arguments.weights, allow=arguments.allow), reader, folder, arguments.preview, settings
    )
    first, *others = result.in_words()
    print(f"{first}: {folder / 'index.html'}", *others, sep="\n")
    return 0


def _finish(job: DeblurJob, network: Network) -> int:
    """Restore a clip and say what was done."""
    from flowdeblur.cli.progress import showing

    with showing(job.reader) as progress:
        report = job.run(network, progress)
    _print(report, job)
    if report.damage:
        raise RuntimeFailureError(
            f"{job.reader.path}: {report.damage}; {report.path} contains the frames that could be "
            "decoded"
        )
    return 0


def _print(report: Report, job: DeblurJob) -> None:
    to = sys.stderr if report.path == Path("-") else sys.stdout
    if report.tiles_chosen:
        _warn(f"memory is short for {job.reader.path}: restored in tiles of {report.tile}")
    if job.settings.verify and report.difference is None:
        _warn(f"{job.reader.path}: restored without tiles, which needs no --verify")
    if report.difference is not None:
        print(
            f"tiles of {report.tile} against the whole frame: PSNR {report.difference.psnr:.1f} "
            f"dB, largest difference {report.difference.largest:.1f} of 255",
            file=to,
        )
    if report.blurs:
        lengths = sorted(row.blur_px for row in report.blurs)
        print(
            f"estimated blur {lengths[0]:.1f} to {lengths[-1]:.1f} px, "
            f"median {lengths[len(lengths) // 2]:.1f} px",
            file=to,
        )
    passed = report.frames - report.restored
    if report.comparison is not None:
        print(f"comparison: {report.comparison}", file=to)
    precision = str(report.dtype).removeprefix("torch.")
    print(
        f"restored {report.restored} frame{'s' * (report.restored != 1)} in {precision} on "
        f"{report.device}{f', passed {passed} through' if passed else ''}, "
        f"in {report.seconds:.1f} s: {report.path}",
        file=to,
    )


def _names(inputs: Sequence[str]) -> list[str]:
    names: list[str] = []
    for each in inputs:
        names += filter(None, map(str.strip, sys.stdin)) if each == "-" else [each]
    if not names:
        raise UserError("-: the list on the standard input is empty; give one name a line")
    return names


def _is_collection(arguments: argparse.Namespace, images: bool) -> bool:
    """Whether OUT takes one result of each IN, though there may be only one."""
    named_itself = len(arguments.inputs) == 1 and Path(arguments.inputs[0]).exists()
    return not images and not (named_itself and arguments.shard is None)


def _warn(text: str) -> None:
    print(text, file=sys.stderr)
