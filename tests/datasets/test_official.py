"""Readers of published data sets, on small fakes of their layouts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tests.composition import compose_config
from tests.datasets.fakes import SIZE, pan, write_clip

from flowdeblur.datasets import BSD, DVD, HIDE, REDS, GoPro, RealBlur
from flowdeblur.datasets.official.reds import REDS4
from flowdeblur.datasets.published import Published
from flowdeblur.engine.configuration import instantiate, plain
from flowdeblur.errors import UserError

FRAMES = pan(3)


PUBLISHED = [  # clips, frames: the figures of the papers and of the data sets' pages
    (DVD, "train", 61, 5708),
    (DVD, "test", 10, 1000),
    (GoPro, "train", 22, 2103),
    (GoPro, "test", 11, 1111),
    (REDS, "train", 240, 24000),
    (REDS, "val", 30, 3000),
    (BSD, "train", 60, 6000),
    (BSD, "valid", 20, 2000),
    (BSD, "test", 20, 3000),
    (HIDE, "train", 6397, 6397),
    (HIDE, "test", 2025, 2025),
    (RealBlur, "train", 3758, 3758),
    (RealBlur, "test", 980, 980),
]


@pytest.mark.parametrize(("source", "split", "clips", "frames"), PUBLISHED)
def test_published_numbers(source, split, clips, frames):
    published = source("somewhere", split).published
    assert (published.clips, published.frames) == (clips, frames)
    if published.lengths is not None:
        assert sum(published.lengths.values()) == frames


@pytest.mark.parametrize("source", [DVD, GoPro])
def test_no_video_is_in_two_splits(source):
    train, test = (source("", split).published.lengths for split in ("train", "test"))
    assert not train.keys() & test.keys()


def test_the_odd_videos():
    assert DVD("", "test").published.lengths["IMG_0049"] == 100
    assert DVD("", "train").published.lengths["C0041"] == 229
    assert GoPro("", "test").published.lengths["GOPR0410_11_00"] == 134
    assert GoPro("", "test").published.lengths["GOPR0862_11_00"] == 77


def keys(source):
    return [each["key"] for each in source.open((0, 1), ())]


def write(root, blurry, sharp, frames=FRAMES, **settings):
    write_clip(root / blurry, root / sharp, frames, **settings)


def test_dvd_takes_its_test_videos_out_of_the_one_folder(tmp_path, monkeypatch):
    small = Published.by_name({"IMG_0003": 3, "IMG_0049": 3}, "a", "b", (720, 1280))
    monkeypatch.setitem(DVD.splits, "test", small)
    for name in ("C0036", "IMG_0003", "IMG_0049"):
        folder = f"quantitative_datasets/{name}"
        write(tmp_path, f"{folder}/input", f"{folder}/GT", suffix=".jpg")
    assert keys(DVD(str(tmp_path), "train")) == [f"C0036/0000{n}" for n in range(3)]
    test = [f"{name}/0000{n}" for name in ("IMG_0003", "IMG_0049") for n in range(3)]
    assert keys(DVD(str(tmp_path), "test")) == test
    assert DVD(str(tmp_path), "test").open((0,), ()).keys == test
    assert keys(DVD(str(tmp_path), "test", last_frame=False, clips=["IMG_0049"])) == test[3:5]


def test_a_score_on_a_part_of_the_test_videos_must_be_asked_for(tmp_path):
    write(tmp_path, "quantitative_datasets/IMG_0003/input", "quantitative_datasets/IMG_0003/GT")
    with pytest.raises(UserError, match=r"9 of 10 clips are missing, 720p_240fps_2 for one"):
        DVD(str(tmp_path), "test").open((0, 1), ())
    assert len(keys(DVD(str(tmp_path), "test", clips=["IMG_0003"]))) == 3


def publish(monkeypatch, source, split, published):
    monkeypatch.setitem(source.splits, split, published)


def test_a_test_video_that_was_cut_off_is_reported(tmp_path, monkeypatch):
    videos = {"IMG_0003": 3, "IMG_0021": 3, "IMG_0030": 3}
    publish(monkeypatch, DVD, "test", Published.by_name(videos, "D.zip", "b", (720, 1280)))
    for name, count in (*videos.items(), ("C0036", 2)):
        folder = f"quantitative_datasets/{name}"
        write(tmp_path, f"{folder}/input", f"{folder}/GT", FRAMES[:count], suffix=".jpg")
    assert len(keys(DVD(str(tmp_path), "test"))) == 9
    for kind in ("input", "GT"):
        (tmp_path / f"quantitative_datasets/IMG_0021/{kind}/00002.jpg").unlink()
    message = (
        rf"{tmp_path}: split test: is not as published: 1 of 3 clips not of the published length, "
        r"IMG_0021 with 2 of 3 frames for one; unpack D.zip again \(`flowdeblur data verify` .*\), "
        r"or name the clips that you have \(clips\)$"
    )
    for choice in ({}, {"first": 1, "every": 2, "last_frame": False}):
        with pytest.raises(UserError, match=message):
            DVD(str(tmp_path), "test", **choice).open((0, 1), ())
    with pytest.raises(UserError, match=r"1 of 2 clips .* IMG_0021 with 2 of 3"):
        DVD(str(tmp_path), "test", exclude=["IMG_0003"]).open((0, 1), ())
    assert len(keys(DVD(str(tmp_path), "test", exclude=["IMG_0021"]))) == 6
    assert len(keys(DVD(str(tmp_path), "test", clips=["IMG_0021"]))) == 2
    assert len(keys(DVD(str(tmp_path), "train"))) == 2  # of 100: training takes what there is


def test_gopro_names_its_two_inputs(tmp_path):
    other = pan(3, motion=(1, 0))
    for folder, frames in (("blur", FRAMES), ("blur_gamma", other)):
        write(tmp_path, f"train/G/{folder}", "train/G/sharp", frames, first=47, digits=6)
    for blur, frames in (("linear", FRAMES), ("gamma", other)):
        sample = GoPro(str(tmp_path), "train", blur=blur).open((0, 1), ())[0]
        expected = torch.from_numpy(frames[0][0]).permute(2, 0, 1)
        assert sample["key"] == "G/000047"
        assert torch.equal(sample["frames"][0], expected)


def test_reds_layout_and_degradations(tmp_path):
    for kind in ("blur", "blur_jpeg"):
        write(tmp_path, f"train/train_{kind}/011", "train/train_sharp/011", digits=8)
    assert keys(REDS(str(tmp_path), "train"))[0] == "011/00000000"
    assert len(keys(REDS(str(tmp_path), "train", degradation="blur_jpeg"))) == 3
    with pytest.raises(UserError, match=r"contains no clips; looked for train/train_blur_comp/\*"):
        REDS(str(tmp_path), "train", degradation="blur_comp").open((0,), ())
    with pytest.raises(UserError, match=r"30 of 30 clips are missing, 000 for one"):
        REDS(str(tmp_path), "val").open((0,), ())
    assert keys(REDS(str(tmp_path), "train", first=1, every=2)) == ["011/00000001"]


def test_bsd_exposures(tmp_path, monkeypatch):
    publish(monkeypatch, BSD, "valid", Published(1, 3, "BSD.zip", "b"))
    write(tmp_path, "BSD_1ms8ms/valid/007/Blur/RGB", "BSD_1ms8ms/valid/007/Sharp/RGB", digits=8)
    assert keys(BSD(str(tmp_path), "valid", exposure="1ms8ms"))[2] == "007/00000002"
    with pytest.raises(UserError, match="BSD_3ms24ms/valid"):
        BSD(str(tmp_path), "valid").open((0,), ())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_bsd_is_scored_whole(split, tmp_path, monkeypatch):
    publish(monkeypatch, BSD, split, Published(2, 6, "BSD.zip", "b"))
    for name in ("007", "012"):
        folder = f"BSD_3ms24ms/{split}/{name}"
        write(tmp_path, f"{folder}/Blur/RGB", f"{folder}/Sharp/RGB", digits=8)
    assert len(keys(BSD(str(tmp_path), split))) == 6
    for kind in ("Blur", "Sharp"):
        (tmp_path / f"BSD_3ms24ms/{split}/012/{kind}/RGB/00000002.png").unlink()
    with pytest.raises(UserError, match=r"2 clips with 5 frames in all instead of 2 with 6; unpa"):
        BSD(str(tmp_path), split).open((0,), ())
    assert len(keys(BSD(str(tmp_path), split, clips=["012"]))) == 2
    assert len(keys(BSD(str(tmp_path), split, exclude=["012"]))) == 3
    publish(monkeypatch, BSD, split, Published(3, 9, "BSD.zip", "b"))
    with pytest.raises(UserError, match=r"2 clips with 5 frames in all instead of 3 with 9; unpa"):
        BSD(str(tmp_path), split).open((0,), ())


@pytest.mark.parametrize("source", [DVD, GoPro, REDS, BSD, HIDE, RealBlur])
def test_wrong_splits_and_roots_are_reported(source):
    with pytest.raises(UserError, match=r"split: expected train or .*, got 'trian'"):
        source("somewhere", "trian")
    with pytest.raises(UserError, match=r"/nowhere: no such folder; set data.root"):
        source("/nowhere", "train").open((0,), ())


def test_reds4_is_disjoint_from_its_training_clips():
    node = plain(compose_config("data=reds4", "data.root=somewhere"))["data"]
    assert tuple(node["train"]["exclude"]) == tuple(node["test"]["clips"]) == REDS4
    train, test = (instantiate(node[split], split) for split in ("train", "test"))
    assert train.split == test.split == "train"
    assert (train.published.clips, test.published.clips) == (236, 4)
    assert not set(train.published.lengths) & set(test.published.lengths)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train.blur=gama", r"data.train.blur: expected .*'gama'"),
        ("data.test.split=val", r"data.test.split: expected .*'val'"),
    ],
)
def test_mistakes_in_a_data_set_are_reported_by_key(override, message):
    node = plain(compose_config("data=gopro", "data.root=.", override))["data"]
    with pytest.raises(UserError, match=message):
        instantiate(node, "data", frame_offsets=(0, 1), flow_offsets=(1,))


def test_upright_and_level_videos_train_together_and_are_scored_one_by_one(tmp_path, monkeypatch):
    small = {"720p_240fps_2": 3, "IMG_0049": 3}
    monkeypatch.setitem(DVD.splits, "test", Published.by_name(small, "a", "b", (720, 1280)))
    for number, name in enumerate(("C0036", "IMG_0044", *small)):
        folder = f"quantitative_datasets/{name}"
        frames = pan(3, size=SIZE if number % 2 == 0 else SIZE[::-1])
        write(tmp_path, f"{folder}/input", f"{folder}/GT", frames, suffix=".jpg")
    overrides = ["data.patch=[64,64]", "data.batch_size=4", "data.workers=0"]
    node = plain(compose_config("data=dvd", f"data.root={tmp_path}", *overrides))["data"]
    module = instantiate(node, "data", frame_offsets=(0, 1), flow_offsets=(1,))
    module.trainer = SimpleNamespace(
        accumulate_grad_batches=1, world_size=1, global_rank=0, max_steps=1, global_step=0
    )
    (batch,) = module.train_dataloader()
    assert {key.split("/")[0] for key in batch["key"]} == {"C0036", "IMG_0044"}
    assert batch["frames"].shape == (4, 2, 3, 64, 64)
    scored = [tuple(batch["frames"].shape[-2:]) for batch in module.test_dataloader()]
    assert scored == [SIZE] * 2 + [SIZE[::-1]] * 2
