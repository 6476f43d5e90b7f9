from __future__ import annotations

import copy
import json

import pytest
import torch
import yaml
from tests.composition import compose_config, plain
from tests.disk import room_for
from tests.weights.test_file import Bomb

from flowdeblur.engine.checkpoints import AtomicCheckpointIO, newest_checkpoint, verify
from flowdeblur.engine.configuration import check
from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.files import write_bytes
from flowdeblur.runs import RunFolder, refuse_other_folder

CHECKPOINT = {"state_dict": {"w": torch.zeros(1000)}, "global_step": 3}


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def config(*overrides):
    return plain(compose_config(*overrides))


def test_the_same_run_may_resume(folder):
    folder.begin(config())
    folder.begin(config("trainer.max_steps=5000", "trainer.accelerator=cpu", "callbacks=ema"))


def test_a_schedule_keeps_its_length_or_follows_the_budget(folder):
    longer = "trainer.max_steps=300000"
    folder.begin(config("experiment=svrnn"))  # the schedule and the budget have 200,000 steps
    folder.check(config("experiment=svrnn", longer))
    folder.check(config("experiment=svrnn", longer, "scheduler.last_step=300000"))
    with pytest.raises(UserError, match="last_step=200000, not 250000"):
        folder.check(config("experiment=svrnn", longer, "scheduler.last_step=250000"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.width=12", "model.width=16, not 12"),
        ("seed=1", "seed=0, not 1"),
        ("data.batch_size=8", "data.batch_size=4, not 8"),
        ("optimizer.lr=0.1", "optimizer.lr=0.001, not 0.1"),
    ],
)
def test_another_run_is_refused(folder, override, message):
    folder.begin(config())
    before = folder.config.read_text()
    with pytest.raises(UserError, match=message):
        folder.begin(config(override))
    assert folder.config.read_text() == before


def test_a_config_of_an_earlier_version_is_the_same_run(tmp_path):
    """Version 0.1 kept optimizer, schedule, groups and flow_first in one section."""
    overrides = "experiment=paper", "scheduler=warmup_cosine", "data=scenes"
    settings = plain(compose_config(*overrides, run_dir=tmp_path))
    earlier = copy.deepcopy(settings)
    scheduler, task = earlier.pop("scheduler"), earlier["task"]
    del scheduler["_partial_"], scheduler["total_steps"], task["score"], task["score_mode"]
    scheduler["_target_"] = "flowdeblur.optimization.WarmupCosine"
    earlier["optimizer"] = {
        "_target_": "flowdeblur.optimization.Optimization",
        "optimizer": earlier["optimizer"],
        "schedule": scheduler,
        "groups": None,
        "flow_first": task.pop("flow_first"),
    }
    task["_target_"] = "flowdeblur.tasks.DeblurringTask"
    folder = RunFolder(tmp_path)
    folder.config.write_text(yaml.safe_dump(earlier))
    folder.check(settings)
    longer = plain(compose_config(*overrides, "trainer.max_steps=900000", run_dir=tmp_path))
    folder.check(longer)
    for override, message in (
        ("optimizer.lr=0.1", "optimizer.lr=0.001, not 0.1"),
        ("scheduler.final=0.5", "scheduler.final=0.01, not 0.5"),
        ("task.flow_first=3", "task.flow_first=0, not 3"),
        ("task=flow", "task.score=val/psnr, not val/loss"),
    ):
        other = plain(compose_config(*overrides, override, run_dir=tmp_path))
        with pytest.raises(UserError, match=message):
            folder.check(other)


def test_old_names_of_keys_are_the_same_run_and_are_explained(tmp_path):
    overrides = "data=reds4", "data.root=."
    settings = plain(compose_config(*overrides, run_dir=tmp_path))
    earlier = copy.deepcopy(settings)
    earlier["data"]["train"]["without"] = earlier["data"]["train"].pop("exclude")
    folder = RunFolder(tmp_path)
    folder.config.write_text(yaml.safe_dump(earlier))
    folder.check(settings)
    with pytest.raises(UserError, match=r"data.train.without: .*; it is called exclude now$"):
        check(earlier["data"], "data", given=("frame_offsets", "flow_offsets"))


def test_a_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make the run folder"):
        RunFolder(tmp_path / "file" / "run")


def test_metrics_are_json(folder):
    folder.write_metrics({"val": {"psnr": 30.5}})
    assert json.loads(folder.metrics.read_text()) == {"val": {"psnr": 30.5}}


def save(folder, step, content=CHECKPOINT):
    path = folder.checkpoints / f"step_{step:08d}.ckpt"
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def test_newest_checkpoint(folder):
    assert newest_checkpoint(folder) is None
    save(folder, 999)
    newest = save(folder, 100000)
    assert newest_checkpoint(folder) == newest


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-50], lambda b: b[:10], lambda b: b"", lambda b: b[:600] + b"?" * 50 + b[650:]],
)
def test_damaged_checkpoints_are_skipped(folder, damage, caplog):
    good, newest = save(folder, 1), save(folder, 2)
    newest.write_bytes(damage(newest.read_bytes()))
    assert newest_checkpoint(folder) == good
    assert "step_00000002.ckpt is corrupt" in caplog.text


def test_a_full_disk_leaves_the_earlier_checkpoints(folder):
    good = save(folder, 1)
    before = good.read_bytes()
    with room_for(len(before) // 2):
        with pytest.raises(
            RuntimeFailureError, match=r"step_00000002.ckpt: cannot write the checkpoint .*unharmed"
        ):
            save(folder, 2)
        with pytest.raises(RuntimeFailureError):
            save(folder, 1, {"state_dict": {"w": torch.ones(1000)}})
    assert good.read_bytes() == before
    assert list(folder.checkpoints.iterdir()) == [good]
    assert newest_checkpoint(folder) == good


def test_checkpoints_with_pickled_code_are_refused(folder):
    path = save(folder, 1, {"state_dict": {}, "bomb": Bomb()})
    with pytest.raises(UserError, match="contains pickled code"):
        verify(path)


def test_something_else_is_no_checkpoint(folder):
    with pytest.raises(UserError, match="is no checkpoint"):
        verify(save(folder, 1, {"epoch": 3}))


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with pytest.raises(TypeError):
        write_bytes(path, object())  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_something_else_is_refused(tmp_path):
    refuse_other_folder(tmp_path / "new")
    (tmp_path / "train.log").touch()
    refuse_other_folder(tmp_path)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"no run folder and has other files, such as thesis.tex"):
        refuse_other_folder(tmp_path)
    (tmp_path / "config.yaml").touch()
    refuse_other_folder(tmp_path)


def test_only_unused_run_folders_are_discarded(tmp_path):
    for name, file in (("begun", "config.yaml"), ("other", "thesis.tex"), ("swept", "console.log")):
        folder = RunFolder(tmp_path / name)
        (folder.path / file).touch()
        folder.discard_if_unused()
        assert (folder.path / file).exists()
    folder = RunFolder(tmp_path / "unused")
    (folder.path / "train.log").touch()
    folder.discard_if_unused()
    assert not folder.path.exists()
