from __future__ import annotations

import json

import pytest
from hydra import compose, initialize_config_dir
from tests.composition import compose_config
from tests.synthesis.footage import contents, write_frames

from flowdeblur.datasets import FrameFolders
from flowdeblur.engine.configuration import config_dir, instantiate, plain
from flowdeblur.errors import UserError
from flowdeblur.evaluation.scoring import choose
from flowdeblur.synthesis import strata
from flowdeblur.synthesis.inputs import find_clips
from flowdeblur.synthesis.strata import prepare_strata, summary


@pytest.fixture(scope="module")
def two_strata(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strata")
    write_frames(folder / "walk", 24, (160, 200), softness=0.7)
    patch = pytest.MonkeyPatch()
    patch.setattr(strata, "STRATA_PX", ((0, 2), (2, 5)))
    described = prepare_strata(find_clips(folder / "walk"), folder / "out", frames=2)
    yield folder, described
    patch.undo()


def test_frames_have_the_blur_of_their_stratum(two_strata):
    folder, described = two_strata
    assert [each["stratum"] for each in described] == ["0-2 px"] * 2 + ["2-5 px"] * 2
    for each in described:
        settings = each["segment"]["settings"]
        known = 2 * settings["interval"] * settings["duty_cycle"]
        low, high = map(int, each["stratum"].split()[0].split("-"))
        assert each["blur_px"]["median"] == pytest.approx(known, rel=0.1)
        assert low <= each["blur_px"]["median"] < high
        assert each["size"] == "200x160"
    stored = json.loads((folder / "out" / "strata.json").read_text())
    assert stored == json.loads(json.dumps(described))
    assert "0-2 px: 2 frames of 200x160" in summary(described)
    assert "2 of walk" in summary(described)


def test_the_protocols_choose_the_scored_frames_of_each_stratum(two_strata):
    folder, described = two_strata
    keys = FrameFolders(str(folder / "out")).open((0, 1), ()).keys
    assert len(keys) == 3 * len(described)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        nodes = plain(compose("evaluate", ["protocols=strata", "run_dir=."]))["protocols"]
    protocols = {name: instantiate(node, name) for name, node in nodes.items()}
    for name, stratum in (("blur_0_2px", "0-2 px"), ("blur_2_5px", "2-5 px")):
        clips = {each["clip"] for each in described if each["stratum"] == stratum}
        chosen = choose(name, protocols[name], keys)
        assert set(chosen.clips) == clips
        assert all(len(frames) == 1 for frames in chosen.clips.values())
    assert len(choose("all", protocols["all"], keys).keys) == 4
    settings = plain(compose_config("data=strata", f"data.root={folder / 'out'}"))["data"]["val"]
    validated = instantiate(settings, "data.val").open((0, 1), ()).keys
    assert set(validated) == set(choose("all", protocols["all"], keys).keys)


def test_the_same_seed_gives_the_same_bytes(two_strata, tmp_path):
    folder, _ = two_strata
    prepare_strata(find_clips(folder / "walk"), tmp_path, frames=2)
    assert contents(tmp_path) == contents(folder / "out")


def test_clips_that_do_not_reach_a_stratum(two_strata, tmp_path, monkeypatch):
    folder, _ = two_strata
    monkeypatch.setattr(strata, "STRATA_PX", ((100, 200),))
    with pytest.raises(UserError, match=r"blur of 100 to 200 px: only 0 of 1 frames; add clips"):
        prepare_strata(find_clips(folder / "walk"), tmp_path / "new", frames=1)
    with pytest.raises(UserError, match=r"out: is not empty"):
        prepare_strata(find_clips(folder / "walk"), folder / "out", frames=1)
