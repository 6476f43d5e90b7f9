"""Sweep files: W&B's own reading of them, ours, and the runs that both lead to."""

from __future__ import annotations

import collections
import itertools
import math
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.composition import ROWS, compose_config
from wandb.sdk.launch.sweeps.utils import (
    create_sweep_command,
    create_sweep_command_args,
    load_sweep_config,
)

from flowdeblur.ablation.sweep import read_sweep
from flowdeblur.engine.assembly import make_data, make_network
from flowdeblur.engine.configuration import instantiate, plain
from flowdeblur.errors import UserError

SWEEPS = Path(__file__).parents[2] / "sweeps"
FILES = sorted(SWEEPS.glob("*.yaml"))

TEMPLATE = """
program: train.py
method: {method}
metric: {{name: val/psnr, goal: maximize}}
{more}
parameters:
  {parameters}
"""

GRID_OF_10_TO_THE_8 = "\n  ".join(f"{key}: {{values: [{'1, ' * 99}1]}}" for key in "abcd")


@pytest.fixture
def sweep(tmp_path):
    def make(parameters, method="grid", more=""):
        path = tmp_path / "sweep.yaml"
        path.write_text(TEMPLATE.format(parameters=parameters, method=method, more=more))
        return read_sweep(path)

    return make


def names(points):
    return [point.name for point in points]


def agent_values(parameter):
    """What W&B's server may choose for a parameter: all its values, or the ends of its range."""
    if "value" in parameter:
        return [parameter["value"]]
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def agent_command_lines(path):
    """What `wandb agent` would start: its own code for arguments, its loop over the command."""
    config = load_sweep_config(str(path))
    assert config is not None
    parameters = config["parameters"]
    for values in itertools.product(*map(agent_values, parameters.values())):
        arguments = {key: {"value": value} for key, value in zip(parameters, values, strict=True)}
        macros = create_sweep_command_args({"args": arguments})
        macros |= {"program": [config["program"]], "env": ["/usr/bin/env"]}
        line = []
        for word in create_sweep_command(list(config["command"])):
            is_macro = word.startswith("${") and word.endswith("}")
            line += macros[word[2:-1]] if is_macro else [word]
        yield line


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_command_of_an_agent_composes_and_instantiates(path):
    lines = list(agent_command_lines(path))
    assert len({tuple(line) for line in lines}) == len(lines) >= 6
    kinds = {}
    for line in lines:
        assert line[:3] == ["/usr/bin/env", "python", "train.py"]
        OverridesParser.create().parse_overrides(line[3:])
        # Seeds make no other objects.
        kinds[tuple(token for token in line if not token.startswith("seed="))] = line[3:]
    for tokens in kinds.values():
        settings = plain(compose_config("model.width=4", *tokens))
        assert list(settings["logger"]) == ["wandb"]
        network = make_network(settings)
        make_data(settings, network)
        for section in ("objective", "optimizer"):
            instantiate(settings[section], section)


def test_files_suit_wandbs_schema():
    """W&B's package `sweeps` has the schema, but cannot be installed beside NumPy 2 by pip."""
    schema = pytest.importorskip("sweeps.config.schema")
    for path in FILES:
        assert list(schema.validator.iter_errors(yaml.safe_load(path.read_text()))) == []


def test_table_4():
    points = read_sweep(SWEEPS / "table4.yaml").points()
    expected = [f"{row}-seed{seed}" for seed in (0, 1, 2) for row in sorted(ROWS)]
    assert sorted(names(points)) == sorted(expected)
    assert {point.row for point in points} == set(ROWS)
    assert {point.row for point in points[:7]} == set(ROWS)  # every row, before the second seed
    assert points[0].overrides == ("logger=csv", "seed=0", "ablation=without_rnns")


def test_a_grid_is_the_product_in_the_files_order(sweep):
    found = sweep("a.lr: {values: [0.1, 0.01]}\n  b: {values: [x, y]}\n  c: {value: 3}").points()
    assert names(found) == ["lr0.1-x", "lr0.1-y", "lr0.01-x", "lr0.01-y"]
    assert found[1].overrides == ("logger=csv", "c=3", "a.lr=0.1", "b=y")


def test_overrides_replace_what_the_file_says(sweep):
    file = sweep(
        "seed: {values: [0, 1]}\n  ablation: {values: [ours, without_rnns]}",
        more='command: ["${program}", experiment=paper, logger=wandb, "${args_no_hyphens}"]',
    )
    narrowed = file.with_overrides(["seed=1", "experiment=null", "data.patch=[64,64]"])
    assert names(narrowed.points()) == ["ours-seed1", "without_rnns-seed1"]
    assert narrowed.points()[0].overrides == (
        "experiment=null", "logger=csv", "data.patch=[64,64]", "seed=1", "ablation=ours",
    )  # fmt: skip
    widened = file.with_overrides(["optimizer.lr=1e-3,0.01", "seed=0", "ablation=ours"])
    assert names(widened.points()) == ["ours-lr0.001-seed0", "ours-lr0.01-seed0"]
    rows = file.with_overrides(["ablation=without_flow", "logger=[csv,wandb]", "seed=0"])
    assert rows.points()[0].overrides[1:] == (
        "logger=[csv,wandb]",
        "seed=0",
        "ablation=without_flow",
    )


def test_values_reach_hydra_as_what_they_are(sweep):
    def values(points):
        tokens = [point.overrides[-1] for point in points]
        return [each.value() for each in OverridesParser.create().parse_overrides(tokens)]

    file = sweep("a: {values: [true, false]}\n  clip: {values: [0.5]}")
    widened = file.with_overrides(["clip=1.0,null", "a=true"])
    assert values(widened.points()) == [1.0, None]
    assert names(widened.points()) == ["aTrue-clip1", "aTrue-null"]
    assert values(file.with_overrides(["clip=null", "a=true"]).points()) == [None]
    flags = sweep("a: {values: [true, false]}").points()
    assert [value is True for value in values(flags)] == [True, False]
    lists = sweep("a: {values: [1]}").with_overrides(["a=[64,null],[x,[null,true]]"])
    assert values(lists.points()) == [[64, None], ["x", [None, True]]]
    # The same runs as those of a file, where W&B wants null in quotes.
    quoted = sweep("a: {values: [true]}\n  clip: {values: [1.0, 'null']}")
    assert names(quoted.points()) == names(widened.points())
    assert values(quoted.points()) == [1.0, None]


def test_random_draws_are_repeatable_and_follow_their_distributions(sweep):
    parameters = (
        "a: {distribution: log_uniform_values, min: 0.0001, max: 1.0}\n"
        "  b: {min: 1, max: 6}\n"
        "  c: {min: -1.0, max: 1.0}\n"
        "  d: {values: [x, y], probabilities: [0.9, 0.1]}\n"
        "  e: {distribution: q_uniform, min: 0, max: 1, q: 0.25}"
    )
    few = sweep(parameters, "random", "run_cap: 10").points()
    many = sweep(parameters, "random", "run_cap: 2000").points()
    assert many[:10] == few
    assert len(set(names(many))) == 2000
    values = {key: [point.parameters[key] for point in many] for key in "abcde"}
    assert all(1e-4 <= each <= 1 for each in values["a"])
    assert abs(sum(math.log10(each) for each in values["a"]) / 2000 + 2) < 0.1
    assert collections.Counter(values["b"]).keys() == {1, 2, 3, 4, 5, 6}
    assert abs(sum(values["c"]) / 2000) < 0.05
    assert 0.87 < values["d"].count("x") / 2000 < 0.93
    assert set(values["e"]) == {0, 0.25, 0.5, 0.75, 1}


@pytest.mark.parametrize(
    ("parameters", "method", "more", "message"),
    [
        ("a: {min: 0.0, max: 1.0}", "grid", "", r"parameters.a: a grid needs values"),
        ("a: {values: [1]}", "random", "", r"method random needs run_cap"),
        ("a: {values: [1]}", "gird", "", r"method is 'gird'; it must be one of grid"),
        ("a: {valeus: [1]}", "grid", "", r"parameters.a.valeus: not supported"),
        ("a: {values: [null]}", "grid", "", r"parameters.a: write 'null' in quotes"),
        ("a: {parameters: {b: {value: 1}}}", "grid", "", r"parameters.a: write a dotted key"),
        ("a: {min: 2, max: 1}", "random", "run_cap: 1", r"min and a greater max"),
        (
            "a: {min: 0, max: 1, distribution: beta}",
            "random",
            "run_cap: 1",
            r"'beta' is not one of",
        ),
        (GRID_OF_10_TO_THE_8, "grid", "", r"100,000,000 runs; a sweep has at most 10,000"),
        ("a: {values: [x y, x_y]}", "grid", "", r"2 runs would have the name x_y"),
        ("a: {values: [1]}", "random", "run_cap: many", r"run_cap is 'many'"),
        ("a: {values: [1]}", "random", "run_cap: 100000000", r"100,000,000 runs; a sweep has at"),
        ("a: {values: [1, .nan]}", "grid", "", r"parameters.a: nan is not a text, a finite number"),
        ("a: {values: [2000-01-01]}", "grid", "", r"parameters.a: datetime.date\(2000, 1, 1\) is"),
        ("a: {values: [[[[[[1]]]]]]}", "grid", "", r"parameters.a: \[1\] is not a text, a finite"),
        ("a: {min: 0, max: .inf}", "random", "run_cap: 1", r"min and a greater max"),
        (f"a: {{min: 0, max: 1{'0' * 400}}}", "random", "run_cap: 1", r"min and a greater max"),
        ("a: {min: 1, max: 2, q: .nan, distribution: q_uniform}", "random", "run_cap: 1", r"a.q: "),
        ("a: {min: 1, max: 2, distribution: [x]}", "random", "run_cap: 1", r"\['x'\] is not one"),
        ("a: {min: 0.5, max: 2, distribution: int_uniform}", "random", "run_cap: 1", r"integers"),
        ("a: {values: [1], probabilities: [0]}", "random", "run_cap: 1", r"1 probabilities of sum"),
        ("a: {values: [1], probabilities: x}", "random", "run_cap: 1", r"list of numbers from 0"),
        ("1: {values: [1]}", "grid", "", r"parameters: 1 is not a key"),
        ("'a b=1': {values: [1]}", "grid", "", r"parameters: 'a b=1' is not a key"),
        ("a: {values: &x [1]}\n  b: {values: *x}", "grid", "", r"has aliases \(\*name\); write"),
        ("a: &x {values: [*x]}", "grid", "", r"has aliases"),
        ("a: " + "[" * 5000, "grid", "", r"nested too deeply|not YAML"),
        ("a: {values: [1]}", "grid", "command: x=1", r"command must be a list"),
        ("a: {values: [1]}", "bayes", "run_cap: 1\nmetric: x", r"metric must have a name"),
    ],
)
def test_mistakes_in_a_file_are_reported(parameters, method, more, message, sweep):
    with pytest.raises(UserError, match=message):
        sweep(parameters, method, more).points()


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "program: other.py\nmethod: grid"])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=str(path)):
        read_sweep(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_sweep(tmp_path / "nowhere.yaml")


def test_several_values_need_a_grid(sweep):
    file = sweep("a: {min: 1, max: 3}", "random", "run_cap: 2")
    with pytest.raises(UserError, match="seed=0,1: several values need a sweep of method grid"):
        file.with_overrides(["seed=0,1"])
    assert {point.overrides[1] for point in file.with_overrides(["a=7"]).points()} == {"a=7"}
