"""The JSON schema accepts what trains, and refuses what does not."""

from __future__ import annotations

import copy

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


def _files():
    return [
        each
        for group in ("experiment", "ablation", "debug")
        for each in (config_dir() / group).glob("*.yaml")
    ]


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
    ],
)
def test_mistakes_are_found(validator, keys, value):
    recipe = yaml.safe_load((config_dir() / "experiment" / "paper.yaml").read_text())
    wrong = copy.deepcopy(recipe)
    node = wrong
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    node[keys[-1]] = value
    assert list(validator.iter_errors(wrong))


def test_references_fit(validator):
    validator.validate({"trainer": {"max_steps": "${data.batch_size}"}, "data": {"root": "/x"}})
