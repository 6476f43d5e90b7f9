from __future__ import annotations

import hashlib
import json
import pickle

import filelock
import numpy as np
import pytest
import torch
from tests.datasets.conftest import COUNT, SIZE, make_image, packed

from flowdeblur.cli import main
from flowdeblur.data import Crop, TurnedCrop
from flowdeblur.datasets import FrameFolders, PackedFrames
from flowdeblur.datasets.packed import writing
from flowdeblur.errors import UserError
from flowdeblur.video.images import write_image


def files(folder):
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


@pytest.mark.parametrize("offsets", [(0, 1), (-1, 0, 1), (0,), (0, -1), (1, 0, -1)])
@pytest.mark.parametrize("settings", [{}, {"last_frame": False}, {"first": 1, "every": 2}])
def test_samples_are_those_of_the_images(root, out, offsets, settings):
    expected = FrameFolders(str(root), **settings).open(offsets, ())
    found = PackedFrames(str(out), **settings).open(offsets, ())
    assert found.keys == expected.keys
    assert len(found) == len(expected)
    for index in range(len(expected)):
        assert torch.equal(found[index]["frames"], expected[index]["frames"])
        assert torch.equal(found[index]["sharp"], expected[index]["sharp"])
        assert found[index]["key"] == expected[index]["key"]


def test_clips_by_name(out):
    assert PackedFrames(str(out), clips=["b"]).open((0,), ()).keys[0] == "b/00000"
    assert {key[0] for key in PackedFrames(str(out), exclude=["b"]).open((0,), ()).keys} == {"a"}
    with pytest.raises(UserError, match=r"clip c not found; available: a, b"):
        PackedFrames(str(out), clips=["c"]).open((0,), ())
    with pytest.raises(UserError, match=r"no clips selected"):
        PackedFrames(str(out), exclude=["a", "b"]).open((0,), ())


def test_the_files_are_plain_arrays(out):
    array = np.load(out / "a.blurry.npy", mmap_mode="r", allow_pickle=False)
    assert array.shape == (COUNT, 3, *SIZE)
    assert np.array_equal(array[2], make_image(2).transpose(2, 0, 1))
    index = json.loads((out / "index.json").read_text())
    for clip in index["clips"]:
        for kind in ("blurry", "sharp"):
            assert files(out)[clip[kind]["file"]] == clip[kind]["sha256"]


def test_frames_are_views_of_the_file(out):
    """Changing the mapped memory changes a sample that was taken before: nothing was copied."""
    samples = PackedFrames(str(out)).open((0, 1), ())
    one, other = samples[0], samples[0]
    before, digest = int(one["frames"][1, 0, 5, 5]), files(out)
    one["frames"][1, 0, 5, 5] = 255 - before
    assert int(other["frames"][1, 0, 5, 5]) == 255 - before
    assert files(out) == digest  # and never the file itself


@pytest.mark.parametrize("crop", [Crop((16, 16)), TurnedCrop((16, 16))])
def test_patches_are_those_of_the_images(root, out, crop):
    expected = FrameFolders(str(root)).open((0, 1), ())
    found = PackedFrames(str(out)).open((0, 1), ())
    for index in range(len(found)):
        one, other = (crop(each[index], np.random.default_rng(index)) for each in (expected, found))
        assert torch.equal(one["frames"], other["frames"])
        assert torch.equal(one["sharp"], other["sharp"])


def test_another_process_maps_the_files_anew(out):
    samples = PackedFrames(str(out)).open((0, 1), ())
    first = samples[0]
    content = pickle.dumps(samples)
    assert len(content) < 4000
    assert torch.equal(pickle.loads(content)[0]["frames"], first["frames"])


def test_a_killed_pack_resumes_and_ends_with_the_same_bytes(root, out, tmp_path, monkeypatch):
    again = tmp_path / "again"
    write, calls = writing._write, 0

    def killed(path, *arguments):
        nonlocal calls
        calls += 1
        if calls == 3:
            path.with_name(f".{path.stem}.partial-1.npy").write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, *arguments)

    monkeypatch.setattr(writing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        packed(root, again)
    assert not (again / "index.json").exists()
    monkeypatch.setattr(writing, "_write", write)
    packed(root, again)
    assert calls == 3
    assert files(again) == files(out)


def test_a_pack_killed_while_it_wrote_its_plan_begins_again(root, out, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    (again / ".0123abcd.partial-0-1.json").write_text("half")
    assert files(packed(root, again)) == files(out)


def test_out_that_holds_something_else(root, out, tmp_path, monkeypatch):
    assert files(packed(root, out)) == files(out)  # complete: nothing to do
    write_image(root / "a" / "input" / "00009.png", make_image(9))
    write_image(root / "a" / "GT" / "00009.png", make_image(9))
    with pytest.raises(UserError, match=r"packed: contains other frames, packed earlier"):
        packed(root, out)
    with pytest.raises(UserError, match=r"frames: is not empty"):
        packed(root, root)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "plan.json").write_text("[]")
    with pytest.raises(UserError, match=r"begun: contains an interrupted pack of other frames"):
        packed(root, tmp_path / "begun")
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match=r"small: the frames need .* GB more, but 0.0 GB are free"):
        packed(root, tmp_path / "small")


def test_two_processes_do_not_pack_into_one_folder(root, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        filelock.FileLock(tmp_path / "out" / ".lock", is_singleton=False),
        pytest.raises(UserError, match=r"out: another process is writing there"),
    ):
        packed(root, tmp_path / "out")


def test_images_that_cannot_be_packed_are_named(root, tmp_path):
    path = root / "b" / "GT" / "00001.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"b/GT/00001.png: is truncated"):
        packed(root, tmp_path / "out")
    assert not (tmp_path / "out" / "b.sharp.npy").exists()


def shorten(out):
    path = out / "a.sharp.npy"
    path.write_bytes(path.read_bytes()[:-1])


def remove(out):
    (out / "b.blurry.npy").unlink()


def exchange(out):
    shape = (COUNT, 3, SIZE[1], SIZE[0])
    np.save(out / "a.sharp.npy", np.zeros(shape, np.uint8))


def scramble(out):
    (out / "index.json").write_text("{")


def reach_out(out):
    text = (out / "index.json").read_text()
    (out / "index.json").write_text(text.replace("a.sharp.npy", "../a.sharp.npy"))


def outdate(out):
    text = (out / "index.json").read_text()
    (out / "index.json").write_text(text.replace("frames 1", "frames 0"))


def forget(out):
    (out / "index.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shorten, r"a.sharp.npy: has \d+ bytes instead of \d+"),
        (remove, r"b.blurry.npy: has 0 bytes"),
        (
            exchange,
            r"a.sharp.npy: contains uint8 of \(4, 3, 56, 40\), not uint8 of \(4, 3, 40",
        ),
        (scramble, r"index.json: is damaged or not an index"),
        (reach_out, r"index.json: ../a.sharp.npy is not a plain file name"),
        (outdate, r"index.json: is of format 'flowdeblur packed frames 0'"),
        (forget, r"index.json: no such file; set data.root"),
    ],
)
def test_damaged_packs_are_reported(out, damage, message):
    damage(out)
    with pytest.raises(UserError, match=message):
        PackedFrames(str(out)).open((0, 1), ())[0]


def test_the_command_and_training_on_its_output(root, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["data", "pack", str(root), str(out)]) == 0
    assert "2 clips, 8 frames" in capsys.readouterr().out
    assert main(["data", "pack", str(root), str(out), "--clips", "c"]) == 2
    assert "1 of 1 clips are missing, c for one" in capsys.readouterr().err
    command = [
        "train", "debug=fast", "model.width=4", "data=packed", f"data.root={out}",
        "data.val.clips=[b]", "data.workers=1", "data.patch=[32,32]", "data.eval_batch_size=1",
        "data.time_reversal=true", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path / 'run'}",
    ]  # fmt: skip
    assert main(command) == 0
    assert "blurry input" in capsys.readouterr().out
