from __future__ import annotations

import shutil

import pytest
import torch
from tests.composition import make_model
from torch import nn

from flowdeblur.errors import RuntimeFailureError, UserError
from flowdeblur.networks.inference import compiled, infer, prepare


class Full(nn.Module):
    frame_offsets, flow_offsets, current_index = (0, 1), (), 0

    def forward(self, frames, *, keep_rnn_weights):
        raise torch.OutOfMemoryError("tried to allocate 20 GiB")


def test_it_restores_without_gradients_and_rnn_weights():
    frames = torch.rand(1, 2, 3, 40, 50)
    network = make_model("proposed", width=2)
    output = infer(network, frames)
    assert output.rnn_weights == ()
    assert not output.restored.requires_grad
    torch.testing.assert_close(output.restored, network(frames).restored.detach())


def test_a_full_device_is_reported_in_one_line():
    with pytest.raises(
        RuntimeFailureError, match="cpu has too little memory for 50x40 frames; use smaller tiles"
    ):
        infer(Full(), torch.rand(1, 2, 3, 40, 50))


def test_compiling_without_a_compiler_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^--compile: needs a C\+\+ compiler; install one"):
        compiled(make_model("proposed", width=2))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_a_compiled_network_restores_the_same():
    network = prepare(make_model("proposed", width=2), torch.device("cpu"))
    frames = torch.rand(1, 2, 3, 64, 64)
    fast = compiled(network)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        whole = infer(network, frames, dtype=dtype).restored
        restored = infer(fast, frames, dtype=dtype).restored
        torch.testing.assert_close(restored, whole, atol=tolerance, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("inference", [False, True])
def test_a_compiler_sees_one_graph(inference):
    network = make_model("proposed", width=2)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    frames = torch.rand(1, 2, 3, 64, 64)
    with torch.inference_mode(inference):
        output = compiled(frames, keep_rnn_weights=False).restored
    torch.testing.assert_close(output, infer(network, frames).restored)
