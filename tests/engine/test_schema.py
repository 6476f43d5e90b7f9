"""The JSON schema accepts what trains, and refuses what does not."""

from __future__ import annotations

import pytest
import yaml

from flowdeblur.engine.configuration import config_dir
from flowdeblur.engine.schema import configuration_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    schema = configuration_schema("train")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def evaluation_validator():
    return jsonschema.Draft202012Validator(configuration_schema("evaluate"))


_GLOBAL = {"experiment", "ablation", "debug"}


def _files():
    return [each for group in sorted(_GLOBAL) for each in (config_dir() / group).glob("*.yaml")]


@pytest.mark.parametrize("path", _files(), ids=lambda each: f"{each.parent.name}/{each.stem}")
def test_every_recipe_fits(validator, path):
    validator.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("trainer", "max_stepz"), 10),
        (("trainer", "max_steps"), "many"),
        (("optimiser",), {}),
        (("task", "flow_first"), 1.5),
        (("data", "batch_sizes"), 4),
        (("data", "train", "clip"), ["a"]),
        (("model", "deblurring_subnet", "cupling"), None),
        (("model", "flow_subnet"), {"_target_": "flowdeblur.networks.FlowSubnet", "wide": 1}),
        (("optimizer",), {"_target_": "torch.optim.SGD", "momentun": 0.9}),
        (("optimizer",), {"_target_": "torch.optim.SGD", "nesterov": "perhaps"}),
        (("scheduler",), {"_target_": "torch.optim.lr_scheduler.StepLR", "steps": 10}),
        (("callbacks", "early_stopping", "patienc"), 3),
        (("callbacks", "summary"), {"_target_": "lightning.pytorch.callbacks.Timer", "time": 1}),
        (("callbacks", "summary"), 3),
        (("init", "networks"), None),
        (("logger", "csv", "folder"), "x"),
        (("parameter_groups", "rule"), []),
        (("seed",), "zero"),
        (("max_minutes",), "long"),
    ],
)
def test_mistakes_are_found(validator, keys, value):
    wrong = value
    for key in reversed(keys):
        wrong = {key: wrong}
    assert not validator.is_valid(wrong)


def test_references_fit(validator):
    validator.validate({"trainer": {"max_steps": "${data.batch_size}"}, "data": {"root": "/x"}})


@pytest.mark.parametrize(
    "group", sorted({each.parent.name for each in config_dir().glob("*/*.yaml")} - _GLOBAL)
)
def test_every_option_fits_its_group(validator, evaluation_validator, group):
    which = evaluation_validator if group == "protocols" else validator
    for path in (config_dir() / group).glob("*.yaml"):
        option = yaml.safe_load(path.read_text()) or {}
        option.pop("defaults", None)
        assert which.is_valid({group: option}), path.name


@pytest.mark.parametrize(
    "fits",
    [
        {"optimizer": {"_target_": "torch.optim.SGD", "momentum": 0.9, "lr": 0.1}},
        {"optimizer": {"_target_": "my_package.Lion", "anything": [1, {"a": "b"}]}},
        {"model": {"_target_": "my_package.Plain", "width": 8}, "logger": None},
        {"callbacks": {"early_stopping": {"patience": 3}, "average": {"decay": 0.9}}},
        {"callbacks": {"mine": {"_target_": "my_package.Mine", "any": 1}, "best": None}},
        {"metrics": {"mine": {"_target_": "my_package.mean_error", "_partial_": True}}},
        {"trainer": {"max_time": "00:01:00:00", "max_steps": -1}},
    ],
)
def test_classes_of_other_packages_fit(validator, fits):
    validator.validate(fits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"motion_bin": [1, 2]},
        {"split": "tests"},
        {"protocols": {"paper": {"boarder": 1}}},
        {"protocols": {"mine": {"_target_": "flowdeblur.evaluation.Protocol", "boarder": 1}}},
    ],
)
def test_mistakes_of_an_evaluation_are_found(evaluation_validator, wrong):
    assert not evaluation_validator.is_valid(wrong)
