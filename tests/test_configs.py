"""Every file under conf composes and instantiates; mistakes in any of them are reported by key."""

from __future__ import annotations

import itertools

import pytest
import torch
from omegaconf import OmegaConf
from tests.composition import MODELS, PEERS, ROWS, compose_config

from flowdeblur.engine.assembly import make_data, make_network, make_task, make_trainer
from flowdeblur.engine.configuration import check, config_dir, instantiate, nearest, plain
from flowdeblur.errors import UserError

CONF = config_dir()
# Metrics that need a file of the user's; see tests/evaluation.
NEED_FILES = ("detection", "detection_onnx", "dists", "lpips", "tlp")
FILES = sorted(
    each.relative_to(CONF).with_suffix("").as_posix()
    for each in CONF.glob("*/*.yaml")
    if each.parent.name != "protocols"  # of conf/evaluate.yaml; see tests/evaluation
    if each.stem not in NEED_FILES
)
# What some options need before they can be instantiated.
IN_FOLDERS = ("bsd", "dvd", "frames", "gopro", "hide", "realblur", "reds", "reds4")
NEEDS = {f"data/{name}": ["data.root=."] for name in IN_FOLDERS}
NEEDS |= {f"data/{name}": ["data.root=.", "data.val.clips=[a]"] for name in ("packed", "video")}
RELEASE = ("data/release", "data/strata", "experiment/release")
NEEDS |= {file: ["data.root=."] for file in RELEASE}


def options(group):
    return sorted(each.stem for each in (CONF / group).glob("*.yaml"))


def test_the_groups_are_the_documented_ones():
    assert options("model") == sorted(["compact", *MODELS, *PEERS])
    assert options("ablation") == sorted(ROWS)
    assert {"paper", "release", "released_code"} <= set(options("experiment"))
    assert options("task") == ["deblurring", "flow"]
    assert options("logger") == ["csv", "tensorboard", "wandb"]


# Options of these groups do not depend on each other: one of each is tried at a time.
INDEPENDENT = (
    ("callbacks", "init", "logger", "metrics", "optimizer", "parameter_groups", "scheduler"),
    ("data", "model"),
)


def choices():
    """All files, in lists of those that are tried together."""
    by_group = {group: [] for groups in INDEPENDENT for group in groups}
    for file in FILES:
        by_group.setdefault(file.split("/")[0], []).append(file)
    for groups in INDEPENDENT:
        for row in itertools.zip_longest(*(by_group.pop(group) for group in groups)):
            yield [file for file in row if file]
    yield from ([file] for files in by_group.values() for file in files)


@pytest.mark.parametrize("files", choices(), ids=" ".join)
def test_every_file_composes_and_instantiates(files, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    chosen = [file.replace("/", "=") for file in files]
    needs = [override for file in files for override in NEEDS.get(file, [])]
    settings = plain(compose_config(*chosen, *needs, "model.width=4", run_dir=tmp_path))
    network = make_network(settings)
    make_data(settings, network)
    task = make_task(settings, network)
    if files == ["trainer/gpu"] and not torch.cuda.is_available():
        with pytest.raises(UserError, match="trainer: No supported gpu backend found"):
            make_trainer(settings, [])
        return
    trainer = make_trainer(settings, [])
    assert trainer.max_steps == settings["trainer"]["max_steps"]
    assert task.network is network


def resolved(*overrides):
    settings = plain(compose_config(*overrides))
    return {key: value for key, value in settings.items() if key != "row"}


def test_the_rows_of_table_4_are_seven_different_runs():
    rows = {name: resolved(f"ablation={name}") for name in ROWS}
    assert rows["ours"] == resolved()
    for i, first in enumerate(ROWS):
        for second in ROWS[i + 1 :]:
            assert rows[first] != rows[second], (first, second)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_changes_only_the_model_or_the_objective(name):
    ours, row = resolved("ablation=ours"), resolved(f"ablation={name}")
    changed = {key for key in ours if ours[key] != row[key]}
    expected = {"ours": set(), "without_flow_losses": {"objective"}}.get(name, {"model"})
    assert changed == expected


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("recipe", sorted({*options("experiment")} - {*PEERS}))
def test_a_row_holds_with_every_recipe(name, recipe):
    experiment = [f"experiment={recipe}", *NEEDS.get(f"experiment/{recipe}", [])]
    ours = resolved("ablation=ours", *experiment)
    row = resolved(f"ablation={name}", *experiment)
    changed = {key for key in ours if ours[key] != row[key]}
    assert changed == {"ours": set(), "without_flow_losses": {"objective"}}.get(name, {"model"})
    if name == "without_flow_losses":
        assert row["objective"]["warping"] is None
        assert row["objective"]["end_point"] is None


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_applied_to_the_chosen_model(name):
    """Only the width is that of the chosen model, also where the model is itself another row's."""
    row = resolved(f"ablation={name}", "model=proposed")
    small = resolved(f"ablation={name}", "model=small")
    assert small["model"] == row["model"] | {"width": 8}
    assert small["objective"] == row["objective"]
    for model in ("without_rnns", "bidirectional"):
        assert resolved(f"ablation={name}", f"model={model}") == row


@pytest.mark.parametrize("name", ROWS)
def test_rows_carry_the_papers_numbers(name):
    row = plain(compose_config(f"ablation={name}"))["row"]
    numbers = {
        "without_rnns": (28.84, 0.901),
        "concat_rnn_weights": (29.71, 0.914),
        "without_flow": (30.11, 0.922),
        "without_flow_losses": (30.35, 0.924),
        "two_direction_flows": (30.56, 0.927),
        "rnns_in_decoder": (29.72, 0.914),
        "ours": (30.58, 0.928),
    }
    assert (row["paper"]["psnr"], row["paper"]["ssim"]) == numbers[name]
    assert row["label"]


def test_the_papers_recipe():
    settings = plain(compose_config("experiment=paper"))
    adam = settings["optimizer"]
    assert (adam["_target_"], adam["lr"], adam["betas"], adam["weight_decay"]) == (
        "torch.optim.Adam", 1e-3, [0.9, 0.999], 1e-6,
    )  # fmt: skip
    assert not settings.get("scheduler")
    assert settings["trainer"]["max_steps"] == 800_000
    assert settings["trainer"]["gradient_clip_val"] is None
    assert (settings["data"]["batch_size"], settings["data"]["patch"]) == (20, [256, 256])
    assert settings["objective"]["sums"]
    assert settings["objective"]["end_point"] is None
    assert settings["init"]["scheme"]["_target_"].endswith("xavier")


def test_the_released_codes_recipe():
    settings = plain(compose_config("experiment=released_code"))
    assert settings["optimizer"]["lr"] == 1e-4
    assert settings["scheduler"]["last_step"] == 5_000_000
    assert settings["data"]["batch_size"] == 10
    assert settings["trainer"]["gradient_clip_val"] == 5000
    assert settings["model"]["padding"] == "constant"


@pytest.mark.parametrize("recipe", options("experiment"))
def test_a_group_chosen_beside_a_recipe_is_not_overwritten_by_it(recipe):
    """The recipe may still set values that every option of the group has, such as optimizer.lr."""
    needs = NEEDS.get(f"experiment/{recipe}", [])
    groups = {"scheduler": "exponential", "objective": "flow_warping", "optimizer": "paper"}
    groups |= {"callbacks": "default", "init": "near_identity", "parameter_groups": "slow_flow"}
    chosen = [f"{group}={option}" for group, option in groups.items()]
    with_recipe = plain(compose_config(f"experiment={recipe}", *chosen, *needs))
    without = plain(compose_config(*chosen))
    shared = {"optimizer.lr", "optimizer.weight_decay"}
    for group in groups:
        assert leaves(with_recipe[group], group, shared) == leaves(without[group], group, shared)


def leaves(node, key, omitted):
    if not isinstance(node, dict):
        return {} if key in omitted else {key: node}
    return {
        name: value
        for child, inner in node.items()
        for name, value in leaves(inner, f"{key}.{child}", omitted).items()
    }


BAD = [
    ({"objective.warping.wieght": 2}, r"objective.warping.wieght: .*did you mean weight"),
    ({"objective.warping.weight": "much"}, r"objective.warping.weight: expected float, got 'much'"),
    ({"objective.sums": "yes"}, r"objective.sums: expected bool, got 'yes'"),
    ({"scheduler.warmup_steps": 1.5}, r"warmup_steps: expected int, got 1.5"),
    (
        {"optimizer._target_": "torch.optim.Adaam"},
        r"optimizer._target_: cannot import torch.optim.Adaam",
    ),
    ({"model.flow_offsets": [2]}, r"model: frame_offsets must hold 0 and every flow offset"),
    ({"model.width": 3}, r"model: width must be even"),
    ({"data.train.split": "trian"}, r"data.train.split: expected .*'trian'"),
    ({"data.train.duty_cycle": [0.5, 2.0]}, r"duty_cycle"),
    ({"optimizer.lr": "abc"}, r"optimizer.lr: expected .*, got 'abc'"),
    ({"model.frame_offsets": "both"}, r"model.frame_offsets: expected .*, got 'both'"),
    ({"model.frame_offsets": [0, "next"]}, r"model.frame_offsets: expected"),
    ({"callbacks.newest.mnoitor": "x"}, r"callbacks.newest.mnoitor: .*did you mean monitor"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[next(iter(change)) for change, _ in BAD])
def test_mistakes_in_a_file_are_reported_by_key(change, message):
    config = compose_config()
    OmegaConf.set_struct(config, False)  # Hydra merges an experiment file just so
    for key, value in change.items():
        OmegaConf.update(config, key, value)
    settings = plain(config)
    section = next(iter(change)).split(".")[0]
    examine = check if section == "callbacks" else instantiate
    given = {"frame_offsets": (0, 1), "flow_offsets": (1,)} if section == "data" else {}
    with pytest.raises(UserError, match=message):
        examine(settings[section], section, **given)


def test_missing_arguments_are_reported():
    with pytest.raises(
        UserError, match=r"model: .*needs deblurring_subnet; set model.deblurring_subnet"
    ):
        instantiate({"_target_": "flowdeblur.networks.FlowGuidedDeblurring"}, "model")


def test_missing_values_are_reported():
    with pytest.raises(UserError, match=r"a.b.*set it on the command line"):
        plain(OmegaConf.create({"a": {"b": "???"}}))
    with pytest.raises(UserError, match=r"set it on the command line"):
        plain(OmegaConf.create({"a": "${nowhere}"}))


def test_nearest_names():
    assert nearest("modle", ["model", "data"]) == "; did you mean model?"
    assert nearest("xyz", ["model", "data"]) == "; valid names: data, model"
