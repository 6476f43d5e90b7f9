from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flowdeblur.cli import main
from flowdeblur.datasets import FrameFolders
from flowdeblur.errors import UserError
from flowdeblur.video.images import write_image

COUNT, SIZE = 5, (72, 80)


def make_image(value: int, size=SIZE) -> np.ndarray:
    noise = np.random.default_rng(value).integers(0, 60, (*size, 3))
    return (noise + value).astype(np.uint8)


def make_clip(root: Path, name: str, first: int, *, size=SIZE, suffix=".png", count=COUNT) -> None:
    for kind, offset in (("blurry", 0), ("sharp", 100)):
        folder = root / name / kind
        folder.mkdir(parents=True)
        for frame in range(count):
            write_image(folder / f"{frame:05d}{suffix}", make_image(first + offset + frame, size))


@pytest.fixture
def root(tmp_path):
    make_clip(tmp_path, "train/a", 0)
    make_clip(tmp_path, "train/b", 20, size=(80, 72))
    return tmp_path


def source(root, **changes):
    settings = {"blurry": "train/*/blurry", "sharp": "train/*/sharp"}
    return FrameFolders(str(root), **(settings | changes))


def pixels(value: int, size=SIZE) -> torch.Tensor:
    return torch.from_numpy(make_image(value, size)).permute(2, 0, 1)


def test_frames_are_paired_with_their_successors(root):
    samples = source(root).open((0, 1), (1,))
    assert len(samples) == 2 * COUNT
    sample = samples[1]
    assert sample["key"] == "a/00001"
    assert torch.equal(sample["frames"], torch.stack([pixels(1), pixels(2)]))
    assert torch.equal(sample["sharp"], pixels(101))
    assert "flow" not in sample


def test_the_last_frame_takes_its_predecessor_and_never_another_clips(root):
    samples = source(root).open((0, 1), (1,))
    assert torch.equal(samples[4]["frames"], torch.stack([pixels(4), pixels(3)]))
    assert samples[5]["key"] == "b/00000"
    assert torch.equal(
        samples[5]["frames"], torch.stack([pixels(20, (80, 72)), pixels(21, (80, 72))])
    )


def test_both_neighbours_and_single_frames(root):
    both, single = source(root).open((-1, 0, 1), ()), source(root).open((0,), ())
    assert torch.equal(both[2]["frames"], torch.stack([pixels(1), pixels(2), pixels(3)]))
    assert torch.equal(both[0]["frames"], torch.stack([pixels(1), pixels(0), pixels(1)]))
    assert torch.equal(single[3]["frames"], pixels(3)[None])


@pytest.mark.parametrize("offsets", [(0,), (0, 1), (-1, 0, 1)])
def test_which_frames_are_samples_does_not_depend_on_the_network(root, offsets):
    keys = [each["key"] for each in source(root, last_frame=False).open(offsets, ())]
    assert keys == [f"{clip}/{frame:05d}" for clip in "ab" for frame in range(COUNT - 1)]


def test_every_so_many(root):
    keys = [each["key"] for each in source(root, every=2).open((0, 1), ())]
    assert keys == [f"{clip}/{frame:05d}" for clip in "ab" for frame in (0, 2, 4)]


def test_clips_by_name(root):
    assert [each["key"][0] for each in source(root, clips=["b"]).open((0,), ())] == ["b"] * COUNT
    assert [each["key"][0] for each in source(root, exclude=["b"]).open((0,), ())] == ["a"] * COUNT


def test_another_layout(tmp_path):
    for kind, value in (("blur", 0), ("sharp", 100)):
        folder = tmp_path / f"train_{kind}" / "000"
        folder.mkdir(parents=True)
        for frame in range(3):
            write_image(folder / f"{frame:08d}.png", make_image(value + frame))
    samples = FrameFolders(str(tmp_path), "train_blur/*", "train_sharp/*").open((0, 1), ())
    assert [each["key"] for each in samples] == [f"000/{frame:08d}" for frame in range(3)]


def test_grey_frames_are_repeated_over_the_channels(root):
    grey = make_image(7)[..., 0]
    Image.fromarray(grey).save(root / "train/a/blurry/00000.png")
    frames = source(root).open((0,), ())[0]["frames"]
    assert torch.equal(frames[0], torch.from_numpy(grey).expand(3, -1, -1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def sixteen_bit(path: Path) -> None:
    write_image(path, make_image(0).astype(np.uint16) * 257)


def transparent(path: Path) -> None:
    rgba = np.dstack([make_image(0), np.full(SIZE, 128, np.uint8)])
    Image.fromarray(rgba).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"00002.png: is truncated or not an image"),
        (sixteen_bit, r"00002.png: has 16 bits per channel"),
        (transparent, r"00002.png: has transparent pixels"),
    ],
)
def test_images_that_cannot_be_used_are_named_when_read(root, damage, message):
    damage(root / "train/a/sharp/00002.png")
    samples = source(root).open((0, 1), ())
    with pytest.raises(UserError, match=message):
        samples[2]


def empty(root: Path) -> None:
    for each in (root / "train/b/sharp").iterdir():
        each.unlink()


def other_size(root: Path) -> None:
    write_image(root / "train/a/sharp/00003.png", make_image(0, (72, 81)))


def missing(root: Path) -> None:
    (root / "train/a/sharp/00003.png").unlink()


def surplus(root: Path) -> None:
    write_image(root / "train/a/sharp/00009.png", make_image(0))


def not_an_image(root: Path) -> None:
    (root / "train/a/blurry/00001.png").write_text("no image")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (empty, r"train/b/sharp: contains no images"),
        (other_size, r"sharp/00003.png: is 72x81 pixels, but the clip began with 72x80"),
        (missing, r"blurry/00003.png: has no sharp frame of this name"),
        (surplus, r"train/a/sharp: contains 6 frames, but .*train/a/blurry contains 5"),
        (not_an_image, r"blurry/00001.png: is truncated or not an image"),
    ],
)
def test_clips_that_do_not_belong_together_are_named_at_once(root, damage, message):
    damage(root)
    with pytest.raises(UserError, match=message):
        source(root).open((0, 1), ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "/nowhere"}, r"/nowhere: no such folder; set data.root"),
        ({"blurry": "val/*/blurry"}, r"contains no clips; looked for val/\*/blurry"),
        ({"clips": ["a", "c"]}, r"1 of 2 clips are missing, c for one"),
        ({"exclude": ["a", "b"]}, r"contains no clips"),
    ],
)
def test_roots_without_the_clips(root, changes, message):
    with pytest.raises(UserError, match=message):
        FrameFolders(
            **({"root": str(root), "blurry": "train/*/blurry", "sharp": "train/*/sharp"} | changes)
        ).open((0,), ())


@pytest.mark.parametrize("workers", [0, 1])
def test_training_on_folders(root, workers, tmp_path, capsys):
    make_clip(root, "val/c", 40)
    command = [
        "train", "debug=fast", "model.width=4", "data=frames", f"data.root={root}",
        "data.eval_batch_size=1", f"data.workers={workers}", "trainer.accelerator=cpu",
    ]  # fmt: skip
    assert main([*command, f"hydra.run.dir={tmp_path / 'good'}"]) == 0
    assert "blurry input" in capsys.readouterr().out
    for path in (root / "train/a/blurry").iterdir():
        cut(path)
    assert main([*command, f"hydra.run.dir={tmp_path / 'bad'}"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "is truncated or not an image" in error
