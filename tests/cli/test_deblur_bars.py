"""What ``flowdeblur deblur`` promises of real sizes: nothing gets lost, and memory has a bound."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from tests.video.clips import decode, make_clip, number, sound_packets

pytestmark = pytest.mark.slow

# A network that copies the next frame, so that everything else is what is measured.
PROGRAM = """
import json, resource, sys
from types import SimpleNamespace
from tests.video.clips import Pick
sys.modules["flowdeblur.weights"] = SimpleNamespace(load=lambda path, allow: Pick((0, 1), 1))
from flowdeblur import cli
status = cli.main(["deblur", *sys.argv[1:], "--weights", "w.safetensors", "--device", "cpu"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"status": status, "peak_kib": peak}))
"""


def deblur(*arguments):
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_clip_keeps_its_frames_times_and_sound(tmp_path):
    source = make_clip(tmp_path / "in.mp4", 60, (720, 1280), sound="aac")
    assert deblur(source, tmp_path / "out.mp4")["status"] == 0
    before, after = decode(source), decode(tmp_path / "out.mp4")
    assert len(after) == 60
    assert [time for time, _ in after] == [time for time, _ in before]
    assert [number(image) for _, image in after[:-1]] == [i % 11 for i in range(1, 60)]
    assert {image.shape for _, image in after} == {(720, 1280, 3)}
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(source)


@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_memory_does_not_grow_with_length(tmp_path, output):
    peaks = {}
    for count in (30, 300):
        source = make_clip(tmp_path / f"{count}.mp4", count, (180, 320), rate=Fraction(30))
        peaks[count] = deblur(source, tmp_path / f"{count}{output}")["peak_kib"]
    assert peaks[300] < 1.05 * peaks[30]
