"""Progress of ``flowdeblur deblur``: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowdeblur.video.clip import FrameReader
    from flowdeblur.video.progress import OnProgress, Progress

_LINE_SECONDS = 30.0
_PROBE_FRAMES, _LONG_SECONDS = 3, 600.0


@contextmanager
def showing(reader: FrameReader) -> Iterator[OnProgress]:
    """Show progress on standard error until the block ends."""
    from tqdm import tqdm

    from flowdeblur.video.progress import duration

    bar = tqdm(
        total=reader.expected,
        unit=" frames",
        disable=None,  # where the output is no terminal
        bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}, {postfix}",
    )
    last_line, estimated = time.monotonic(), False

    def show(progress: Progress) -> None:
        nonlocal last_line, estimated
        left = progress.seconds_left
        speed = f"{progress.frames_per_second:.2f} frames/s"
        rest = "" if left is None else f", {duration(left)} left"
        if not estimated and progress.fresh >= _PROBE_FRAMES:
            estimated = True
            if left is not None and left > _LONG_SECONDS:
                bar.write(
                    f"about {duration(left)} for {progress.total} frames; --preview 6 shows the "
                    "result on six of them first",
                    file=sys.stderr,
                )
        bar.set_postfix_str(f"{speed}{rest}" if progress.fresh else "starting", refresh=False)
        bar.update(progress.done - bar.n)
        if bar.disable and time.monotonic() - last_line >= _LINE_SECONDS:
            last_line = time.monotonic()
            total = "" if progress.total is None else f" of {progress.total}"
            print(f"{progress.done}{total} frames, {speed}{rest}", file=sys.stderr, flush=True)

    with bar:
        yield show
