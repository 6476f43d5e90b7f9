from __future__ import annotations

import json

from flowdeblur.benchmarks import data
from flowdeblur.cli import main


def test_the_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "SIZE", (288, 320))
    monkeypatch.setattr(data, "FRAMES", 3)
    out = tmp_path / "results" / "data"
    command = ["benchmark", "data", "--workers", "1", "--seconds", "0.1"]
    assert main([*command, "--repetitions", "1", "--folder", str(tmp_path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    content = json.loads(out.with_suffix(".json").read_text())
    rates = {(r["frames"], r["augmentation"], r["workers"]) for r in content["rates"]}
    assert len(rates) == 4
    assert all(rate["samples_per_second"] > 0 for rate in content["rates"])
    assert {"crop", "opening, packed", "opening, PNG"} <= {c["step"] for c in content["costs"]}
    assert all(cost["milliseconds"] > 0 for cost in content["costs"])
    table = out.with_suffix(".md").read_text()
    assert table in printed
    assert table.count("\n| packed |") == 2
    assert [each.name for each in tmp_path.iterdir()] == ["results"]  # the frames are gone


def test_the_share_of_a_step():
    rates = [data.Rate("packed", "cropped", 2, samples_per_second=500.0)]
    table = data.to_markdown(rates, [], ("a step", 0.02), "here")
    assert "| packed | cropped | 2 | 500 | 10.00 % |" in table
    assert "takes 20.0 ms a sample" in table


def test_mistakes(capsys):
    assert main(["benchmark", "data", "--workers", "-1"]) == 2
    assert "--workers" in capsys.readouterr().err
    assert main(["benchmark", "data", "--model", "porposed"]) == 2
    assert "did you mean proposed" in capsys.readouterr().err
