"""What is trusted on disk, and what is not."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from tests.disk import room_for

from flowdeblur.devices import one_thread_per_operation
from flowdeblur.errors import UserError
from flowdeblur.scenes import Scenes, source


def recipe(folder, **changes):
    return Scenes(
        **{"split": "train", "count": 3, "size": (32, 48), "cache": str(folder)} | changes
    )


def equal(left, right):
    return len(left) == len(right) and all(
        torch.equal(one[name], other[name])
        for one, other in zip(left, right, strict=True)
        for name in ("frames", "sharp", "flow", "visible")
    )


def start(folder, count=3):
    """Render in another process; its main module is a string, as in a notebook."""
    code = (
        "from flowdeblur.scenes import Scenes\n"
        f"Scenes('train', {count}, size=(32, 48), cache={str(folder)!r}).open((0, 1), (1,))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)


@pytest.fixture
def rendered():
    return recipe("unused", cache=None).open((0, 1), (1,))


def test_cached_is_rendered_once_and_equals_rendered_on_the_fly(
    tmp_path, rendered, monkeypatch, capfd
):
    first = recipe(tmp_path / "deep" / "folder").open((0, 1), (1,))
    assert equal(first, rendered)
    assert capfd.readouterr().err == ""  # no bar where there is no terminal
    monkeypatch.setattr(source, "render_record", None)
    assert equal(recipe(tmp_path / "deep" / "folder").open((0, 1), (1,)), first)


def test_one_file_for_pairs_and_single_frames_another_with_the_previous(tmp_path):
    recipe(tmp_path).open((0, 1), (1,))
    recipe(tmp_path).open((0,), ())
    (pairs,) = tmp_path.iterdir()
    before = pairs.stat().st_mtime_ns
    triples = recipe(tmp_path).open((-1, 0, 1), (-1, 1))
    assert len(list(tmp_path.iterdir())) == 2
    assert pairs.stat().st_mtime_ns == before
    assert triples[0]["frames"].shape[0] == 3


def test_every_parameter_has_a_cache_of_its_own(tmp_path):
    changes = [
        {},
        {"split": "val"},
        {"count": 2},
        {"size": (48, 32)},
        {"seed": 1},
        {"motion_px": 5.0},
        {"still": 0.5},
        {"duty_cycle": (0.5, 0.5)},
        {"noise": (0.0, 0.0)},
        {"objects": (0, 0)},
    ]
    for change in changes:
        recipe(tmp_path, **change).open((0, 1), ())
    recipe(tmp_path, motion_px=5).open((0, 1), ())  # the same number
    assert len(list(tmp_path.iterdir())) == len(changes)


def test_samples_can_be_written_to_and_pickled(tmp_path, rendered):
    scenes = recipe(tmp_path).open((0, 1), (1,))
    scenes[0]["frames"].zero_()
    scenes[0]["sharp"].zero_()
    assert equal(scenes, rendered)
    pickled = pickle.dumps(scenes)
    assert len(pickled) < 2000  # the path, not the images
    assert equal(pickle.loads(pickled), rendered)


def truncate(file):
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 1)


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"PK\x03\x04 and no more"),
        lambda file: file.write_bytes(pickle.dumps([1, 2, 3])),
        lambda file: np.save(file, np.zeros(3)),
    ],
    ids=["truncated", "empty", "zip", "pickle", "other"],
)
def test_a_damaged_file_is_rendered_again(tmp_path, rendered, damage):
    recipe(tmp_path).open((0, 1), (1,))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    damage(file)
    assert equal(recipe(tmp_path).open((0, 1), (1,)), rendered)
    assert file.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [file]


def test_two_processes_at_once_end_with_one_good_cache(tmp_path, rendered):
    processes = [start(tmp_path), start(tmp_path)]
    assert [process.communicate()[1] for process in processes] == [b"", b""]
    assert [process.returncode for process in processes] == [0, 0]
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    assert equal(recipe(tmp_path).open((0, 1), (1,)), rendered)
    assert file.stat().st_mtime_ns == before


def test_a_faster_process_keeps_its_file(tmp_path, rendered, monkeypatch):
    """Another process may have mapped the first file: it must not be replaced under its hands."""
    render, others = source.render_record, []

    def overtaken(*args):
        monkeypatch.setattr(source, "render_record", render)
        recipe(tmp_path).open((0, 1), (1,))
        (published,) = tmp_path.glob("*.npy")
        others.append(published.stat().st_ino)
        return render(*args)

    monkeypatch.setattr(source, "render_record", overtaken)
    with one_thread_per_operation():
        assert equal(recipe(tmp_path).open((0, 1), (1,)), rendered)
    (file,) = tmp_path.iterdir()
    assert others == [file.stat().st_ino]


def test_a_killed_render_leaves_nothing_that_is_trusted(tmp_path):
    process = start(tmp_path, count=100_000)
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size > 50_000 for file in tmp_path.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (partial,) = tmp_path.iterdir()
    assert partial.suffix == ".partial"


def test_an_interrupted_render_clears_up(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "render_record", interrupted)
    torch.set_num_threads(2)
    with pytest.raises(KeyboardInterrupt):
        recipe(tmp_path).open((0, 1), ())
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == 2


def test_an_unusable_folder_is_named_with_the_remedy(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match=r"file/scenes .*`cache` to another folder, or to null"):
        recipe(file / "scenes").open((0, 1), ())


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    with room_for(20_000), pytest.raises(UserError, match="cannot store scenes in"):
        recipe(tmp_path).open((0, 1), ())
    assert list(tmp_path.iterdir()) == []


def test_a_whole_cache_is_read_from_a_folder_that_cannot_be_written(
    tmp_path, rendered, monkeypatch
):
    recipe(tmp_path).open((0, 1), (1,))
    monkeypatch.setattr("tempfile.mkstemp", None)
    assert equal(recipe(tmp_path).open((0, 1), (1,)), rendered)
