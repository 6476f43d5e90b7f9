"""Weights & Biases: offline, unreachable, disabled; the same numbers everywhere."""

from __future__ import annotations

import csv
import json
import struct

import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.engine.runs import TINY
from wandb.proto import wandb_internal_pb2

from flowdeblur.cli import main

BUDGET = ["trainer.max_steps=2", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb.teardown()  # it reads the environment once
    yield
    wandb.teardown()


def records(folder):
    """What an offline run would send to the server."""
    wandb.teardown()  # its service writes the file to the end before it exits
    found = []
    for file in sorted(folder.rglob("run-*.wandb")):
        for data in entries(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            found.append(record)
    return found


def entries(content, block=32768):
    """Read LevelDB's log format: 7 bytes for the file, then chunks: checksum, length, kind."""
    position, parts = 7, []
    while position + 7 <= len(content):
        if block - position % block < 7:  # too little of the block is left for another chunk
            position += block - position % block
            continue
        length, kind = struct.unpack("<HB", content[position + 4 : position + 7])
        parts.append(content[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield b"".join(parts)
            parts = []


def history(folder):
    """Numbers by name and step."""
    numbers = {}
    for record in records(folder):
        row = {
            "/".join(item.nested_key) or item.key: item.value_json for item in record.history.item
        }
        step = row.get("trainer/global_step")
        for name, value in row.items():
            if (
                step is not None
                and name.startswith(("train/", "val/", "lr"))
                and "panel" not in name
            ):
                loaded = json.loads(value)
                if isinstance(loaded, int | float):
                    numbers[name, int(step)] = loaded
    return numbers


def test_every_logger_gets_the_same_numbers(cache, tmp_path):
    folder = tmp_path / "a-run"
    status = main(
        ["train", *TINY, *BUDGET, cache, f"hydra.run.dir={folder}",
         "logger=[csv,tensorboard,wandb]",
         "logger.wandb.tags=[tag]", "logger.wandb.group=group"]
    )  # fmt: skip
    assert status == 0
    numbers = history(folder / "wandb")
    names = {name for name, _ in numbers}
    assert {"train/loss", "train/gradient_norm", "train/samples_per_second", "val/psnr"} <= names
    assert any(name.startswith("lr-") for name in names)
    rows = list(csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open()))
    tables = {
        (name, int(row["step"])): float(value)
        for row in rows
        for name, value in row.items()
        if value and name.startswith(("train/", "val/", "lr"))
    }
    assert tables.keys() == numbers.keys()
    assert tables == pytest.approx(numbers, rel=1e-5)
    events = EventAccumulator(str(folder / "tensorboard" / "version_0"))
    events.Reload()
    board = {
        (tag, event.step): event.value
        for tag in events.Tags()["scalars"]
        if tag.startswith(("train/", "val/", "lr"))
        for event in events.Scalars(tag)
    }
    assert board == pytest.approx(numbers, rel=1e-5)
    sent = records(folder / "wandb")
    (run,) = {(r.run.run_id, r.run.run_group, tuple(r.run.tags)) for r in sent if r.run.run_id}
    assert run == ("a-run", "group", ("tag",))
    assert {r.run.display_name for r in sent if r.run.run_id} == {"compact-scenes-seed0"}
    configured = {
        update.key or update.nested_key[0] for r in sent for update in r.run.config.update
    }
    configured |= {update.key for r in sent for update in r.config.update}
    assert {"model", "data", "seed", "trainer"} <= configured
    artifacts = [r.artifact for r in sent if r.HasField("artifact")]
    (model,) = [each for each in artifacts if each.type == "model"]
    assert model.name == "a-run"
    assert "best" in model.aliases
    assert [entry.path for entry in model.manifest.contents] == ["best.safetensors"]


@pytest.mark.slow
def test_an_unreachable_server_does_not_stop_training(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    folder = tmp_path / "run"
    status = main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={folder}", "logger=wandb"])
    assert status == 0
    assert "W&B cannot be reached" in (folder / "train.log").read_text()
    assert "wandb sync" in (folder / "train.log").read_text()
    (offline,) = (folder / "wandb").glob("offline-run-*-run")
    assert ("val/psnr", 2) in history(offline)


@pytest.mark.slow
def test_disabled_writes_nothing(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = tmp_path / "run"
    assert main(["train", *TINY, *BUDGET, cache, f"hydra.run.dir={folder}", "logger=wandb"]) == 0
    assert not list(folder.rglob("*.wandb"))


@pytest.mark.slow
def test_runs_of_a_sweep_are_grouped_and_have_ids_of_their_own(cache, tmp_path):
    sweep = tmp_path / "widths"
    status = main(
        ["train", "-m", *TINY, *BUDGET, cache, "trainer.max_steps=1",
         "trainer.val_check_interval=1",
         f"hydra.sweep.dir={sweep}", "seed=0,1", "logger=wandb"]
    )  # fmt: skip
    assert status == 0
    runs = {(r.run.run_id, r.run.run_group) for r in records(sweep) if r.run.run_id}
    assert runs == {("widths-0", "widths"), ("widths-1", "widths")}
