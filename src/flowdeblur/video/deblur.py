"""The pipeline from a clip to its restored frames: ``flowdeblur.deblur`` and ``restore``."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from flowdeblur.devices import find_device
from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular, write_text
from flowdeblur.networks.inference import compiled, prepare, runs_in_strips, tile_difference
from flowdeblur.types import Network
from flowdeblur.video.background import reading_ahead, writing_behind
from flowdeblur.video.clip import Frame, FrameReader
from flowdeblur.video.compare import compared_size, comparison_path
from flowdeblur.video.controls import FrameRange
from flowdeblur.video.inputs import InputClip, find_sources
from flowdeblur.video.journal import origin
from flowdeblur.video.memory import bytes_per_pixel, portion
from flowdeblur.video.outputs import Output, VideoOutput, check_free, choose_output
from flowdeblur.video.progress import OnProgress, Progress, counted
from flowdeblur.video.report import BlurRow, Report, blur_table
from flowdeblur.video.restore import Result, restore_frames
from flowdeblur.video.settings import Settings
from flowdeblur.video.windows import to_window_tensor, windows
from flowdeblur.video.writer import writing_video

PathLike = str | Path


def deblur(
    source: PathLike | Sequence[PathLike],
    target: PathLike,
    *,
    weights: PathLike | Network = "default",
    allow: Collection[str] = (),
    progress: OnProgress | None = None,
    **settings: Any,
) -> Report:
    """Restore a video, a folder of frames or images.

    Args:
        source: a video, a folder of images, or images that are one clip together.
        target: a video, a folder for PNG files, or for one or two images an image.
        weights: name or path of weights, see :func:`flowdeblur.load`, or a network.
        allow: packages besides flowdeblur whose classes the weights may name, see there.
        progress: is called before the first frame and after each one; what it raises ends the work.
        settings: attributes of :class:`~flowdeblur.video.settings.Settings`.

    Returns:
        What was done. ``report.damage`` says what is wrong with a damaged input.

    Raises:
        UserError: an argument or a file is wrong; ``target`` is as it was before.
        RuntimeFailureError: the network fails or ``target`` cannot be written; the same holds.

    Example:
        ``flowdeblur.deblur("shaky.mp4", "sharp.mp4", strength=0.8, only_blurry=True)``
    """
    names = [source] if isinstance(source, str | Path) else source
    clips = find_sources([str(each) for each in names])
    if len(clips) != 1:
        raise UserError(f"{source}: {len(clips)} clips; deblur restores one at a time")
    job = DeblurJob.open(clips[0], str(target), Settings(**settings))
    if isinstance(weights, str | Path):
        from flowdeblur.weights import load

        weights = load(weights, allow=allow)
    return job.run(weights, progress)


def restore(
    frames: Iterable[NDArray[Any]],
    network: Network,
    *,
    times: Iterable[float] | None = None,
    **settings: Any,
) -> Iterator[NDArray[Any]]:
    """Restore the frames of a clip that another program decodes, as they come.

    Args:
        frames: (H, W, 3) RGB arrays of one size, in order: uint8, uint16, or float with [0, 1] as
            the displayed range (values beyond it are kept).
        network: see :func:`flowdeblur.load`.
        times: of the frames in seconds; needed for ``range`` in seconds only.
        settings: attributes of :class:`~flowdeblur.video.settings.Settings` that concern frames.

    Yields:
        The restored frames in the same depth, delayed by the frames that the network looks ahead.

    Raises:
        UserError: a setting is wrong, or a frame is no RGB image or differs in size.
        RuntimeFailureError: the network's output is not finite, or memory does not suffice.
    """
    chosen = Settings(**settings)
    device = find_device(chosen.device)
    results = restore_frames(
        compiled(network) if chosen.compile else network,
        _as_frames(frames, times),
        controls=chosen.controls(),
        device=device,
        dtype=chosen.torch_dtype(device),
        tile=chosen.tile,
        batch=chosen.batch or 1,
    )
    return (cast(NDArray[Any], result.after.image) for result in results)


@dataclass(frozen=True)
class DeblurJob:
    """A clip with its output, checked before any work.

    Attributes:
        reader: the clip.
        output: where its restored frames go.
        settings: what the user chose.
    """

    reader: FrameReader
    output: Output
    settings: Settings

    @classmethod
    def open(cls, clip: InputClip, target: str, settings: Settings) -> DeblurJob:
        """Open a clip and choose its output.

        Raises:
            UserError: the clip cannot be read, or may not go to ``target``.
        """
        reader = clip.open(settings.rate)
        output = choose_output(
            target, clip, reader, settings.encoding(), overwrite=settings.overwrite
        )
        return cls(reader, output, settings).checked()

    def checked(self) -> DeblurJob:
        """Check what depends on both the clip and the settings."""
        if self.settings.range is not None:
            FrameRange.parse(self.settings.range).check(self.reader)
        overwrite, comparison = self.settings.overwrite, self.comparison_path
        if not isinstance(self.output, VideoOutput):
            for option in ("compare", "codec", "crf", "preset"):
                if getattr(self.settings, option) is not None:
                    raise UserError(
                        f"--{option}: {self.output.path} is not a video; name one as OUT"
                    )
        if comparison is not None:
            check_free(comparison, self.reader.files, overwrite=overwrite)
        if self.settings.blur_csv is not None:
            table = Path(self.settings.blur_csv)
            demand_regular(table)
            check_free(table, self.reader.files, overwrite=overwrite, option="--blur-csv")
            written = (self.output.path, comparison)
            if table.resolve() in (each.resolve() for each in written if each is not None):
                raise UserError(f"{table}: is written as a video; name another --blur-csv")
        return self

    @property
    def comparison_path(self) -> Path | None:
        """The comparison video beside the output; None without one."""
        if self.settings.compare is None:
            return None
        return comparison_path(self.output.path, self.settings.compare)

    def run(self, network: Network, progress: OnProgress | None = None) -> Report:
        """Restore the clip; arguments and errors as of :func:`deblur`."""
        settings, reader, controls = self.settings, self.reader, self.settings.controls()
        device = find_device(settings.device)
        dtype = settings.torch_dtype(device)
        network = prepare(network, device)
        tile, batch = portion(
            reader.size,
            device,
            tile=settings.tile,
            pixel_bytes=bytes_per_pixel(network),
            in_strips=runs_in_strips(network),
        )
        tile = tile if tile and tile < max(reader.size) else None
        batch = settings.batch or batch
        report = Report(self.output.path, device, dtype, tile, bool(tile and not settings.tile))
        if settings.verify and tile:
            window = next(windows(reader, network.frame_offsets))
            report.difference = tile_difference(network, to_window_tensor(window, device), tile)
        identity = settings.identity(dtype)
        done = self.output.begin(origin(reader, network, *identity))
        started, ahead, first, last = time.perf_counter(), batch + 1, Fraction(0), Fraction(0)
        with (
            self._writing(report) as sink,
            writing_behind(sink, ahead) as write,
            reading_ahead(reader, ahead, getattr(reader, "close", None)) as frames,
        ):
            results = restore_frames(
                compiled(network) if settings.compile else network,
                frames,
                controls=controls,
                device=device,
                dtype=dtype,
                tile=tile,
                batch=batch,
                done=done,
            )
            for result in counted(results, reader.expected, len(done), progress or _silent):
                write(result)
                last = result.before.time
                first = first if report.frames else last
                report.frames += 1
                report.restored += result.restored
                if result.blur is not None:
                    frame = result.before
                    report.blurs.append(
                        BlurRow(frame.name, float(frame.time), result.blur, result.restored)
                    )
            wanted = controls.range
            if isinstance(wanted, FrameRange) and not done:
                # Known before the work where the clip says how long it is.
                wanted.check_end(reader.path, report.frames, last - first)
        if settings.blur_csv is not None:
            write_text(Path(settings.blur_csv), blur_table(report.blurs))
        report.seconds = time.perf_counter() - started
        report.damage = reader.damage
        return report

    @contextmanager
    def _writing(self, report: Report) -> Iterator[Callable[[Result], None]]:
        """Open the output and the comparison video; yields what takes results."""
        draw, path = self.settings.comparison(), self.comparison_path
        with ExitStack() as stack:
            sink = stack.enter_context(self.output.writing())
            if draw is None or path is None:
                yield lambda result: sink(result.after)
                return
            assert isinstance(self.output, VideoOutput)
            drawn = stack.enter_context(
                writing_video(
                    path,
                    compared_size(draw, self.reader.size),
                    self.reader.format,
                    encoding=self.output.encoding,
                    source=self.output.source,
                )
            )
            report.comparison = path

            def write(result: Result) -> None:
                sink(result.after)
                drawn(draw(result))

            yield write


def _as_frames(arrays: Iterable[NDArray[Any]], times: Iterable[float] | None) -> Iterator[Frame]:
    shape = None
    at = iter(times) if times is not None else None
    for index, array in enumerate(arrays):
        known = array.dtype in (np.uint8, np.uint16) or np.issubdtype(array.dtype, np.floating)
        if array.ndim != 3 or array.shape[2] != 3 or not known:
            raise UserError(
                f"frame {index}: is {array.dtype} of shape {array.shape}; give RGB arrays "
                "(H, W, 3), uint8, uint16 or float"
            )
        if array.shape != (shape := shape or array.shape):
            raise UserError(f"frame {index}: has shape {array.shape}, but the first has {shape}")
        time = Fraction(next(at)) if at is not None else Fraction(index)
        yield Frame(np.ascontiguousarray(array), str(index), time)


def _silent(progress: Progress) -> None:
    """Report nothing."""
