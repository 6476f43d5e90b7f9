from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from skimage.metrics import peak_signal_noise_ratio

from flowdeblur.engine.configuration import config_dir, instantiate, plain
from flowdeblur.errors import UserError
from flowdeblur.evaluation import mean_of_clips, mean_of_frames, truncated
from flowdeblur.evaluation.scoring import choose

NAMES = sorted(
    each.stem
    for each in (config_dir() / "protocols").glob("*.yaml")
    if each.stem != "strata"  # seven protocols; see tests/synthesis/test_strata.py
)
DVD = [f"clip_{clip}/{frame:05d}" for clip in range(10) for frame in range(100)]


@pytest.fixture(scope="module")
def protocols():
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("evaluate", [f"protocols=[{','.join(NAMES)}]", "run_dir=."])
    nodes = plain(config)["protocols"]
    assert list(nodes) == NAMES  # each file names its protocol as it is called itself
    return {name: instantiate(node, f"protocols.{name}") for name, node in nodes.items()}


def test_the_protocols_are_the_documented_ones():
    assert NAMES == [
        "all_frames", "cdvd960", "estrnn", "gopro", "paper", "reds300", "simdeblur", "su30", "vrt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("all_frames", 1000, "clip_0/00000", "clip_9/00099"),
        ("paper", 990, "clip_0/00000", "clip_9/00098"),
        ("su30", 300, "clip_0/00001", "clip_9/00096"),
        ("simdeblur", 300, "clip_0/00002", "clip_9/00097"),
        ("cdvd960", 960, "clip_0/00002", "clip_9/00097"),
        ("estrnn", 960, "clip_0/00002", "clip_9/00097"),
        ("vrt", 1000, "clip_0/00000", "clip_9/00099"),
    ],
)
def test_frames_of_the_dvd_test_set(protocols, name, count, first, last):
    keys = list(choose(name, protocols[name], DVD).keys)
    assert (len(keys), keys[0], keys[-1]) == (count, first, last)
    assert protocols[name].count in (count, None)


def test_frames_of_reds(protocols):
    reds = [f"{clip:03d}/{frame:08d}" for clip in range(30) for frame in range(100)]
    keys = list(choose("reds300", protocols["reds300"], reds).keys)
    assert len(keys) == protocols["reds300"].count == 300
    assert keys[:2] == ["000/00000009", "000/00000019"]


def test_su_s_numbers(protocols):
    expected = np.floor(np.linspace(2, 97, 30)).astype(int).tolist()
    assert protocols["su30"].frames.numbers == expected
    assert protocols["simdeblur"].frames.numbers == expected


def test_what_the_digest_depends_on(protocols):
    digests = {
        name: choose(name, protocols[name], DVD).digest for name in ("paper", "vrt", "all_frames")
    }
    assert digests["vrt"] == digests["all_frames"] != digests["paper"]
    assert digests["paper"] != choose("paper", protocols["paper"], DVD[100:]).digest


def test_a_protocol_that_chooses_nothing_is_reported(protocols):
    with pytest.raises(
        UserError, match=r"protocols.cdvd960: chooses none of the 6 frames in 2 clips; name"
    ):
        choose("cdvd960", protocols["cdvd960"], ["a/0", "a/1", "a/2", "b/0", "b/1", "b/2"])


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    sharp = (torch.rand(3, 46, 61, generator=generator) * 255).round() / 255
    return sharp + 0.1 * torch.randn(sharp.shape, generator=generator), sharp


def reference(restored, sharp):
    return peak_signal_noise_ratio(
        sharp.double().numpy(), restored.double().numpy(), data_range=1.0
    )


def test_each_protocol_prepares_frames_in_its_way(protocols, pair):
    restored, sharp = pair
    clamped = restored.double().clamp(0, 1)
    saved = (clamped * 255).round() / 255
    inner = np.s_[:, 4:40, 4:56]  # of 44 x 60, the multiples of 4
    expected = {
        "all_frames": reference(saved, sharp),
        "paper": reference(saved, sharp),
        "gopro": reference(saved, sharp),
        "vrt": reference(saved, sharp),
        "simdeblur": reference(clamped, sharp),
        "estrnn": reference((clamped * 255).floor() / 255, sharp),
        "cdvd960": reference(saved[inner], sharp[inner]),
    }
    scores = {name: protocols[name].score(restored, sharp)["psnr"] for name in expected}
    assert scores == pytest.approx(expected, abs=1e-4)
    assert len({f"{score:.5f}" for score in scores.values()}) == 4


def test_each_protocol_has_its_ssim(protocols, pair):
    scores = {name: protocols[name].score(*pair) for name in NAMES}
    assert scores["paper"]["ssim"] == scores["gopro"]["ssim"] == scores["reds300"]["ssim"]
    assert scores["vrt"]["ssim"] == scores["all_frames"]["ssim"] != scores["paper"]["ssim"]
    assert list(scores["vrt"]) == ["psnr", "ssim", "psnr_y", "ssim_y"]
    assert list(scores["su30"]) == ["psnr"]


def test_equal_frames(protocols, pair):
    scores = protocols["vrt"].score(pair[1], pair[1])
    assert scores == pytest.approx(
        {"psnr": float("inf"), "ssim": 1, "psnr_y": float("inf"), "ssim_y": 1}
    )


def test_frames_that_the_border_leaves_nothing_of(protocols):
    small = torch.zeros(3, 20, 40)
    assert protocols["all_frames"].score(small, small)["ssim"] == pytest.approx(1)
    with pytest.raises(UserError, match="frames of 40x18 pixels are too small: SSIM needs 11x11"):
        protocols["cdvd960"].score(small[:, :18], small[:, :18])


def test_averages():
    clips = [[1.0, 2.0, 3.0], [10.0]]
    assert mean_of_frames(clips) == 4.0
    assert mean_of_clips(clips) == 6.0


def test_truncation_costs_half_a_step(pair):
    restored, _ = pair
    assert (restored.clamp(0, 1) - truncated(restored)).mean().item() == pytest.approx(
        0.5 / 255, rel=0.3
    )
