from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.ops.oracle import TOLERANCE, assert_matches_oracle, error, make_inputs, oracle

from flowdeblur.ops import _cpu, spatially_variant_rnn, spatially_variant_rnn_reference

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


IMPLEMENTATIONS = pytest.mark.parametrize(
    "operator", [spatially_variant_rnn, spatially_variant_rnn_reference]
)


@pytest.fixture(autouse=True, scope="module")
def groups_of_few_planes():
    """Make the CPU kernel cut small maps into groups of planes, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_cpu, "_BUFFER_ELEMENTS", 2000)
        yield


def strided(x, layout):
    """Return the values of x in memory of another layout."""
    batch, channels, height, width = x.shape
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "transposed":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "sliced":
        padded = x.new_full((batch, channels + 2, height + 1, 2 * width + 3), torch.nan)
        view = padded[:, 1 : channels + 1, :height, 3::2]
        return view.copy_(x)
    return x


@IMPLEMENTATIONS
def test_one_line_by_hand(operator):
    features = torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 3)
    weights = torch.tensor([0.5, 0.25, -0.5]).expand(1, 4, 1, 3)
    left_right, right_left, *vertical = operator(features, weights)[0, :, 0]
    # 0.5 * 1; 0.75 * 2 + 0.25 * 0.5; 1.5 * 4 - 0.5 * 1.625, and the same from the other end
    assert left_right.tolist() == [0.5, 1.625, 5.1875]
    assert right_left.tolist() == [0.5 + 0.5 * 3.0, 1.5 + 0.25 * 6.0, 6.0]
    for column in vertical:  # lines of one pixel: (1 - w) f
        assert column.tolist() == [0.5, 1.5, 6.0]


@pytest.mark.parametrize("tanh", [False, True])
def test_reference_is_the_recurrence(tanh):
    features, weights, _ = make_inputs(2, 3, 5, 7, dtype=torch.float64)
    f, w = features.numpy(), weights.numpy().reshape(2, 4, 3, 5, 7)
    w = np.tanh(w) if tanh else w
    expected = np.zeros_like(w)
    walks = [np.s_[..., :], np.s_[..., ::-1], np.s_[..., :, :], np.s_[..., ::-1, :]]
    for direction, walk in enumerate(walks):
        fd, wd, hd = f[walk], w[:, direction][walk], expected[:, direction][walk]
        if direction > 1:
            fd, wd, hd = (x.swapaxes(2, 3) for x in (fd, wd, hd))
        h = 0.0
        for t in range(fd.shape[3]):
            h = (1 - wd[..., t]) * fd[..., t] + wd[..., t] * h
            hd[..., t] = h
    actual = spatially_variant_rnn_reference(features, weights, tanh=tanh)
    np.testing.assert_allclose(
        actual.numpy(), expected.reshape(2, 12, 5, 7), rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 37, 53), (4, 9, 1, 67), (9, 2, 67, 1), (9, 40, 1, 1)])
def test_values_and_gradients(shape, tanh, dtype):
    assert_matches_oracle(spatially_variant_rnn, *make_inputs(*shape, dtype=dtype), tanh=tanh)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight", [0.9, 0.99, 0.999, 1.0])
def test_states_that_barely_decay(weight, dtype):
    """A wrong carry between blocks shows only where the state before a block still counts."""
    inputs = make_inputs(1, 2, 50, 70, dtype=dtype, weight=weight)
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_minus_one(dtype):
    """h = 2 f - h: undamped, and what tanh reaches exactly in the half types."""
    features, weights, grad = make_inputs(1, 2, 40, 70, dtype=dtype)
    inputs = features, weights.fill_(-1), grad
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=False)


def test_half_types_saturate_like_their_tanh():
    features, weights, grad = make_inputs(1, 2, 20, 30, dtype=torch.bfloat16)
    inputs = features, 20 * weights, grad
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=True)


@IMPLEMENTATIONS
@pytest.mark.parametrize("dtype", DTYPES)
def test_weight_zero_copies_and_weight_one_keeps_zero(operator, dtype):
    features, weights, _ = make_inputs(2, 3, 20, 35, dtype=dtype)
    assert torch.equal(
        operator(features, torch.zeros_like(weights)), torch.cat([features] * 4, dim=1)
    )
    assert torch.equal(operator(features, torch.ones_like(weights)), torch.zeros_like(weights))


def test_flips_and_transposes_exchange_directions():
    """Sequential kernels owe equality to the bit."""
    features, weights, _ = make_inputs(2, 3, 33, 47)
    left_right, right_left, top_bottom, bottom_top = weights.chunk(4, dim=1)
    states = spatially_variant_rnn(features, weights)

    mirrored = torch.cat([right_left, left_right, top_bottom, bottom_top], dim=1).flip(3)
    lr, rl, tb, bt = spatially_variant_rnn(features.flip(3), mirrored).flip(3).chunk(4, dim=1)
    assert torch.equal(torch.cat([rl, lr, tb, bt], dim=1), states)

    transposed = torch.cat([top_bottom, bottom_top, left_right, right_left], dim=1).mT
    lr, rl, tb, bt = spatially_variant_rnn(features.mT, transposed).mT.chunk(4, dim=1)
    assert torch.equal(torch.cat([tb, bt, lr, rl], dim=1), states)


def test_it_is_linear_in_the_features_and_local_to_a_line():
    features, weights, _ = make_inputs(1, 1, 9, 21, dtype=torch.float64)
    impulse = torch.zeros_like(features)
    impulse[0, 0, 4, 10] = 1
    response = spatially_variant_rnn(impulse, weights)[0]
    assert response[0, 4, :10].abs().max() == 0
    assert response[0, 4, 10:].abs().min() > 0
    assert response[0, :4].abs().max() == 0
    assert response[2, :, 11:].abs().max() == 0
    both = spatially_variant_rnn(features + 3 * impulse, weights)
    torch.testing.assert_close(both - spatially_variant_rnn(features, weights), 3 * response[None])


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "sliced"])
def test_layout_of_results(layout):
    features, weights, grad = make_inputs(2, 3, 20, 35)
    f, w = strided(features, "sliced").requires_grad_(), strided(weights, layout).requires_grad_()
    states = spatially_variant_rnn(f, w)
    grads = torch.autograd.grad(states, (f, w), strided(grad, "channels_last"))
    expected = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    for result in (states, *grads):
        assert result.is_contiguous(memory_format=expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*(st.integers(1, high) for high in (2, 3, 40, 40))),
    layouts=st.tuples(
        *[st.sampled_from(["contiguous", "channels_last", "transposed", "sliced"])] * 3
    ),
    dtype=st.sampled_from(DTYPES),
    tanh=st.booleans(),
)
def test_any_shape_stride_and_type(shape, layouts, dtype, tanh):
    inputs = make_inputs(*shape, dtype=dtype)
    inputs = tuple(strided(x, layout) for x, layout in zip(inputs, layouts, strict=True))
    # The RMS over a handful of numbers may be that of one number at its worst rounding.
    assert_matches_oracle(spatially_variant_rnn, *inputs, tanh=tanh, slack=4)


def test_expanded_inputs_are_read_only():
    features, weights, grad = make_inputs(1, 1, 6, 7)
    shared = [x.expand(2, -1, -1, -1) for x in (features, weights, grad)]
    assert_matches_oracle(spatially_variant_rnn, *shared, tanh=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tanh", [False, True])
def test_every_byte_read_was_written_and_inputs_stay(monkeypatch, tanh, dtype):
    features, weights, grad = make_inputs(2, 3, 37, 35, dtype=dtype)
    before = [x.clone() for x in (features, weights, grad)]
    expected = oracle(features, weights, grad, tanh=tanh)

    def poisoned(allocate):
        return lambda *args, **kwargs: allocate(*args, **kwargs).fill_(torch.nan)

    for owner, name in [(torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")]:
        monkeypatch.setattr(owner, name, poisoned(getattr(owner, name)))
    monkeypatch.setattr(_cpu, "_MAX_KEPT_BYTES", 0)  # buffers of earlier calls hold their values
    f, w = features.requires_grad_(), weights.requires_grad_()
    states = spatially_variant_rnn(f, w, tanh=tanh)
    grads = torch.autograd.grad(states, (f, w), grad)
    for actual, truth in zip((states, *grads), expected, strict=True):
        assert error(actual, truth) <= TOLERANCE[dtype]
    for actual, original in zip((features, weights, grad), before, strict=True):
        assert torch.equal(actual, original)


def test_buffers_of_one_call_serve_the_next_whatever_its_kind():
    """Larger and smaller ones, other types, in and out of inference mode, in several threads."""

    def call(shape, dtype, inference):
        features, weights, grad = make_inputs(*shape, dtype=dtype)
        expected = oracle(features, weights, grad, tanh=True)
        with torch.inference_mode(inference):
            states = spatially_variant_rnn(features, weights, tanh=True)
        return error(states, expected[0]) <= TOLERANCE[dtype]

    kinds = itertools.product(
        [(1, 2, 9, 70), (2, 3, 37, 35), (1, 1, 5, 4)],
        [torch.float32, torch.bfloat16],
        [True, False],
    )
    with ThreadPoolExecutor(3) as threads:
        assert all(threads.map(lambda kind: call(*kind), kinds))
    assert_matches_oracle(spatially_variant_rnn, *make_inputs(2, 3, 37, 35), tanh=False)


def test_repeated_calls_give_the_same_bits():
    features, weights, grad = make_inputs(2, 24, 64, 64)  # rows large enough for two threads
    f, w = features.requires_grad_(), weights.requires_grad_()

    def run():
        states = spatially_variant_rnn(f, w)
        return (states, *torch.autograd.grad(states, (f, w), grad))

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("tanh", [False, True])
def test_gradcheck(tanh):
    features, weights, _ = make_inputs(1, 1, 3, 18, dtype=torch.float64)
    inputs = features.requires_grad_(), weights.requires_grad_()
    assert torch.autograd.gradcheck(partial(spatially_variant_rnn, tanh=tanh), inputs)


def test_second_derivatives_belong_to_the_reference():
    features, weights, _ = make_inputs(1, 1, 3, 4, dtype=torch.float64)
    inputs = features.requires_grad_(), weights.requires_grad_()
    reference = partial(spatially_variant_rnn_reference, tanh=True)
    assert torch.autograd.gradgradcheck(reference, inputs)
    (first,) = torch.autograd.grad(
        spatially_variant_rnn(*inputs).sum(), features, create_graph=True
    )
    with pytest.raises(RuntimeError, match="spatially_variant_rnn_reference"):
        first.sum().backward()


def test_only_one_input_needs_a_gradient():
    features, weights, grad = make_inputs(1, 2, 5, 6, dtype=torch.float64)
    _, expected_f, expected_w = oracle(features, weights, grad, tanh=False)
    f = features.clone().requires_grad_()
    assert (
        error(torch.autograd.grad(spatially_variant_rnn(f, weights), f, grad)[0], expected_f)
        < 1e-14
    )
    w = weights.clone().requires_grad_()
    assert (
        error(torch.autograd.grad(spatially_variant_rnn(features, w), w, grad)[0], expected_w)
        < 1e-14
    )
