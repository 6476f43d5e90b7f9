"""The table of tiles, and a tuned one in its place."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from flowdeblur.benchmarks import tune
from flowdeblur.ops import _tiles
from flowdeblur.ops._tiles import Table, Tiles, dump, load


def test_a_file_holds_a_table(tmp_path):
    table = Table(backward=Tiles(warps=4, scan=512, lanes=32, steps=4))
    (tmp_path / "tiles.json").write_text(dump(table, "a GPU"))
    assert load(str(tmp_path / "tiles.json")) == table


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", json.dumps({"forward": 1}), dump(Table(), "").replace("512", "500")]
)
def test_a_bad_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "tiles.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"tiles\.json.*--tune") as raised:
        load(str(path))
    assert "\n" not in str(raised.value)


def test_the_variable_names_the_file(tmp_path, monkeypatch):
    table = Table(forward=Tiles(warps=1, scan=256, lanes=64, steps=16))
    (tmp_path / "tiles.json").write_text(dump(table, "a GPU"))
    monkeypatch.setenv(_tiles.VARIABLE, str(tmp_path / "tiles.json"))
    _tiles.table.cache_clear()
    try:
        assert _tiles.table() == table
    finally:
        monkeypatch.undo()
        _tiles.table.cache_clear()
    assert _tiles.table() == Table()


def test_few_lines_are_recognized_by_their_bytes():
    table = Table()
    # 2 MB under way: 8 steps of f and w in two directions from 64 KB a step on.
    assert table.for_forward(2**16) == table.forward
    assert table.for_forward(2**16 - 1) == table.forward_few_lines


def test_the_tuner_takes_the_fastest_of_each_kind(tmp_path, monkeypatch):
    launches = SimpleNamespace(table=Table)
    monkeypatch.setattr(tune, "_cuda", lambda: launches)
    best = {
        "forward": Tiles(4, 256, 128, 8),
        "forward_few_lines": Tiles(1, 512, 64, 16),
        "backward": Tiles(2, 256, 64, 16),
    }

    def make_pass(shape, dtype, device, layout, *, gradient):
        few = shape[0] == 1
        kind = "backward" if gradient else "forward_few_lines" if few else "forward"
        return lambda: kind

    def clock(run):
        kind = run()
        seconds = 1.0 if getattr(launches.table(), kind) == best[kind] else 2.0
        return seconds, 0.0

    monkeypatch.setattr(tune, "_make_pass", make_pass)
    path = tmp_path / "tiles.json"
    saved = []
    path.write_text(tune.tune(clock, "a clock of the test", repetitions=1, save=saved.append))
    assert len(saved) == 3
    assert load(str(path)) == Table(**best)
    assert json.loads(path.read_text())["measured_on"] == "a clock of the test"
    assert launches.table() == Table()
