"""Weights files that are damaged, malicious or inconsistent."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file
from tests.weights.test_file import config_of

import flowdeblur
from flowdeblur import weights
from flowdeblur.errors import UserError

PROPOSED = config_of("proposed")


def nested(depth):
    config = PROPOSED
    for _ in range(depth):
        config = {**PROPOSED, "width": config}
    return config


MALFORMED = {
    "nothing": (None, "configuration is None, not that of a network"),
    "a number": (3, "configuration is 3, not that of a network"),
    "a list": ([], r"configuration is \[\], not that of a network"),
    "text": ("x" * 1000, "configuration is 'xxx"),
    "empty": ({}, "names None, which is no network"),
    "partial": (PROPOSED | {"_partial_": True}, "makes no network: functools.partial"),
    "a part": (PROPOSED["flow_subnet"] | {"_partial_": False}, "makes no network"),
    "padding": (PROPOSED | {"padding": "evil"}, "padding must be replicate or constant"),
    "text for a number": (PROPOSED | {"width": "24"}, "does not fit flowdeblur"),
    "a negative width": (PROPOSED | {"width": -24}, "width must be even"),
    "a huge width": (PROPOSED | {"width": 3_000_000}, "weights of another architecture"),
    "beyond 64 bits": (PROPOSED | {"width": 10**30}, "does not fit flowdeblur"),
    "infinite": (PROPOSED | {"width": math.inf}, "does not fit flowdeblur"),
    "far neighbours": (
        PROPOSED | {"frame_offsets": [0, 10**9], "flow_offsets": [10**9]},
        r"frame_offsets=\(0, 1000000000\): expected whole numbers from -64 to 64",
    ),
    "half neighbours": (
        PROPOSED | {"frame_offsets": [0, 0.5], "flow_offsets": [0.5]},
        r"frame_offsets=\(0, 0.5\): expected whole numbers",
    ),
    "no offsets": (PROPOSED | {"frame_offsets": None}, "does not fit flowdeblur"),
    "no part": (PROPOSED | {"deblurring_subnet": 1}, "does not fit flowdeblur"),
    "deep": (nested(150), "does not fit|nested too deeply"),
    "deeper": (nested(900), "nested too deeply"),
    "many layers": (
        {
            "_target_": "flowdeblur.networks.FlowGuidedDeblurring",
            "deblurring_subnet": PROPOSED["deblurring_subnet"],
            "flow_subnet": [PROPOSED | {"width": 2} for _ in range(400)],
        },
        "describes more layers than the file has|does not fit",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_configurations(name, network, tmp_path):
    config, message = MALFORMED[name]
    path = tmp_path / "weights.safetensors"
    weights.save(path, network, config)
    with pytest.raises(UserError, match=message) as error:
        flowdeblur.load(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64, torch.uint8])
def test_tensors_of_other_types_are_refused(dtype, network, tmp_path):
    path = tmp_path / "weights.safetensors"
    weights.save(path, network, config_of("proposed", width=4))
    tensors, metadata = weights.read(path)
    tensors["deblurring_subnet.d_conv0.bias"] = tensors["deblurring_subnet.d_conv0.bias"].to(dtype)
    save_file(tensors, path, metadata)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(UserError, match=rf"d_conv0\.bias is {name} in the file, but float32 in"):
        flowdeblur.load(path)


def test_no_more_is_built_than_the_file_can_fill(tmp_path):
    with (
        pytest.raises(UserError, match="describes more layers than the file has"),
        weights.rebuild.without_memory(10, tmp_path),
    ):
        torch.nn.Sequential(*(torch.nn.Linear(10**6, 10**6) for _ in range(10)))
    assert torch.nn.Linear(2, 2).weight.device.type == "cpu"
