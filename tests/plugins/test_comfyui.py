from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

import flowdeblur
from flowdeblur.errors import UserError

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
IMAGES = torch.rand(3, 70, 90, 3, generator=torch.Generator().manual_seed(0))
DEFAULTS = {
    "weights": "small",
    "strength": 1.0,
    "only_blurry": 0.0,
    "scale": "1",
    "keep_grain": False,
}


class Port:
    """An input or output of a schema."""

    def __init__(self, id=None, **facts):
        self.id, self.facts = id, facts


class Schema:
    def __init__(self, *, node_id, display_name, category, description, inputs, outputs):
        self.node_id, self.category, self.description = node_id, category, description
        self.display_name, self.inputs, self.outputs = display_name, inputs, outputs


class NodeOutput:
    def __init__(self, *values):
        self.values = values


@pytest.fixture
def progress():
    return []


@pytest.fixture
def node(monkeypatch, progress):
    """The node, loaded as ComfyUI does, with a stand-in of its API written from its docs."""
    latest = ModuleType("comfy_api.latest")
    kind = SimpleNamespace(Input=Port, Output=Port)
    latest.io = SimpleNamespace(
        **dict.fromkeys(("Image", "Combo", "Float", "Boolean"), kind),
        ComfyNode=type("ComfyNode", (), {}),
        Schema=Schema,
        NodeOutput=NodeOutput,
    )
    latest.ComfyExtension = type("ComfyExtension", (), {})
    execution = SimpleNamespace(set_progress=lambda value, most: progress.append((value, most)))
    latest.ComfyAPISync = lambda: SimpleNamespace(execution=execution)
    monkeypatch.setitem(sys.modules, "comfy_api", ModuleType("comfy_api"))
    monkeypatch.setitem(sys.modules, "comfy_api.latest", latest)
    spec = importlib.util.spec_from_file_location("comfy_nodes", FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (found,) = asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())
    return found


def test_the_schema_names_the_arguments_and_their_defaults(node):
    schema = node.define_schema()
    names = [each.id for each in schema.inputs]
    assert names == list(inspect.signature(node.execute).parameters)
    defaults = {each.id: each.facts.get("default") for each in schema.inputs[1:]}
    assert defaults == DEFAULTS | {"weights": "default"}
    for each in schema.inputs:
        for option in each.facts.get("options", ()):
            result = node.execute(IMAGES[:2, :8, :8], **(DEFAULTS | {each.id: option}))
            assert result.values[0].shape == (2, 8, 8, 3)


def test_it_restores_what_the_library_restores(node, progress):
    (restored,) = node.execute(IMAGES, **DEFAULTS).values
    network = flowdeblur.load("small")
    wanted = list(flowdeblur.restore((each.numpy() for each in IMAGES), network))
    assert restored.dtype == torch.float32
    for one, other in zip(restored, wanted, strict=True):
        torch.testing.assert_close(one, torch.from_numpy(other))
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_alpha_and_sharp_frames_are_kept(node):
    images = torch.cat((IMAGES, torch.rand(3, 70, 90, 1)), -1)
    before = images.clone()
    (restored,) = node.execute(images, **DEFAULTS).values
    assert (restored[..., 3] == before[..., 3]).all()
    assert (images == before).all()  # other nodes read it, too
    (passed,) = node.execute(images, **(DEFAULTS | {"only_blurry": 100.0})).values
    assert (passed == before).all()


def test_a_mistake_is_one_line(node):
    with pytest.raises(UserError, match="--strength 2: must be from 0 to 1"):
        node.execute(IMAGES, **(DEFAULTS | {"strength": 2.0}))


def test_the_example_workflow_fits_the_node(node):
    workflow = json.loads((FOLDER / "example_workflows" / "deblur.json").read_text())
    schema = node.define_schema()
    (ours,) = (each for each in workflow.values() if each["class_type"] == schema.node_id)
    assert list(ours["inputs"]) == [each.id for each in schema.inputs]
    for step in workflow.values():
        links = [each for each in step["inputs"].values() if isinstance(each, list)]
        assert all(each[0] in workflow for each in links)
