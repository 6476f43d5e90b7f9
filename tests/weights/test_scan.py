from __future__ import annotations

import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from flowdeblur.ops import spatially_variant_rnn_reference
from flowdeblur.weights import scan


@pytest.fixture(scope="module")
def session():
    """Only the recurrence, as a model of one node that calls the ONNX function."""
    function = scan._sweep.to_function_proto()
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", channels, "H", "W"])
        for name, channels in (("features", "C"), ("weights", "4C"))
    ]
    output = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["B", "4C", "H", "W"])
    node = helper.make_node(
        function.name, ["features", "weights"], ["states"], domain=function.domain
    )
    model = helper.make_model(
        helper.make_graph([node], "recurrence", inputs, [output]),
        functions=[function],
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(function.domain, 1)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString())


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 1, 1, 1), (1, 2, 1, 9), (1, 2, 9, 1)])
def test_the_scan_is_the_recurrence(session, shape):
    batch, channels, height, width = shape
    features = torch.randn(shape)
    weights = torch.rand(batch, 4 * channels, height, width) * 2 - 1
    wanted = spatially_variant_rnn_reference(features.double(), weights.double())
    (got,) = session.run(None, {"features": features.numpy(), "weights": weights.numpy()})
    torch.testing.assert_close(torch.from_numpy(got).double(), wanted, rtol=0, atol=1e-5)
