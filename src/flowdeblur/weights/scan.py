"""The spatially variant RNN in ONNX: two Scans, one over columns and one over rows.

Each Scan walks its lines from both ends at once, so that a frame takes H + W steps and not twice as
many. States are float32 in half-precision models too, as in the operator.
"""

# ONNX Script reads the bodies of these functions; to Python's type checkers they are none.
# mypy: ignore-errors

from onnxscript import FLOAT, graph, script
from onnxscript import opset18 as op


@script(default_opset=op)
def _sweep(features: FLOAT, weights: FLOAT) -> FLOAT:
    """h_t = f_t + w_t (h_{t-1} - f_t), which is Eq. 13, in the order of flowdeblur.ops."""

    @graph()
    def step(  # noqa: ANN202
        forth: FLOAT[...],
        back: FLOAT[...],
        f_forth: FLOAT[...],
        f_back: FLOAT[...],
        w_forth: FLOAT[...],
        w_back: FLOAT[...],
    ):
        next_forth = f_forth + w_forth * (forth - f_forth)
        next_back = f_back + w_back * (back - f_back)
        # A name may leave a graph once only.
        h_forth = op.Identity(next_forth)
        h_back = op.Identity(next_back)
        return next_forth, next_back, h_forth, h_back

    w_right, w_left, w_down, w_up = op.Split(weights, num_outputs=4, axis=1)
    column = op.ConstantOfShape(op.Gather(op.Shape(features), op.Constant(value_ints=[0, 1, 2])))
    row = op.ConstantOfShape(op.Gather(op.Shape(features), op.Constant(value_ints=[0, 1, 3])))
    _right, _left, right, left = op.Scan(
        column,
        column,
        features,
        features,
        w_right,
        w_left,
        body=step,
        num_scan_inputs=4,
        scan_input_axes=[3, 3, 3, 3],
        scan_input_directions=[0, 1, 0, 1],
        scan_output_axes=[3, 3],
        scan_output_directions=[0, 1],
    )
    _down, _up, down, up = op.Scan(
        row,
        row,
        features,
        features,
        w_down,
        w_up,
        body=step,
        num_scan_inputs=4,
        scan_input_axes=[2, 2, 2, 2],
        scan_input_directions=[0, 1, 0, 1],
        scan_output_axes=[2, 2],
        scan_output_directions=[0, 1],
    )
    return op.Concat(right, left, down, up, axis=1)


def spatially_variant_rnn(features, weights, tanh: bool):  # noqa: ANN001, ANN201 - traced, like the operator
    """Translate ``flowdeblur::spatially_variant_rnn``."""
    f, w = op.Cast(features, to=FLOAT.dtype), op.Cast(weights, to=FLOAT.dtype)
    return op.CastLike(_sweep(f, op.Tanh(w) if tanh else w), features)
