"""The PTX interpreter: what a launch computes, and the accesses that it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ops.ptx.machine import Machine
from tests.ops.ptx.memory import AccessError, Memory
from tests.ops.ptx.program import parse

KERNEL = """
.visible .entry kernel(.param .u64 kernel_param_0, .param .u32 kernel_param_1)
.reqntid 32
{{
	.reg .b32 %r<9>; // each thread has its element of 4 bytes
	ld.param.b64 %rd1, [kernel_param_0];
	ld.param.b32 %r9, [kernel_param_1];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 4;
	add.s64 %rd3, %rd1, %rd2;
	{body}
	ret;
}}
"""


def launch(body, size=128, blocks=1, content=None, argument=0):
    """Run the body in 32 threads, where %rd3 is a thread's address, and return the memory."""
    memory = Memory(4096)
    address = memory.allocate(size, 0, content)
    Machine(parse(KERNEL.format(body=body)), [address, argument], (blocks, 1), memory).run()
    return memory.content(address, size).view("u4")


def test_threads_compute_and_exchange_values():
    body = """
    shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;
    setp.lt.s32 %p1, %r1, 2;
    @%p1 add.s32 %r2, %r2, %r9;
    st.global.b32 [ %rd3 + 0 ], { %r2 };
    """
    assert launch(body, argument=100)[:4].tolist() == [101, 100, 3, 2]


def test_a_loop_and_a_branch():
    body = """
    mov.b32 %r2, 0;
    mov.b32 %r3, 0;
    $loop:
    add.s32 %r2, %r2, %r3;
    add.s32 %r3, %r3, 1;
    setp.le.s32 %p1, %r3, %r9;
    @%p1 bra $loop;
    st.global.b32 [%rd3], %r2;
    """
    assert launch(body, argument=10)[5] == 55


@pytest.mark.parametrize(("comparison", "holds"), [("nan", [0, 1]), ("num", [1, 0])])
def test_comparisons_that_ask_for_nan_only(comparison, holds):
    body = f"""
    ld.global.b32 %r2, [%rd3];
    setp.{comparison}.f32 %p1, %r2, %r2;
    mov.b32 %r3, 0;
    @%p1 mov.b32 %r3, 1;
    st.global.b32 [%rd3], %r3;
    """
    content = np.array([1.5, np.nan] + [0] * 30, np.float32)
    assert launch(body, content=content.view(np.uint8))[:2].tolist() == holds


@pytest.mark.parametrize(
    ("selector", "permuted"),
    [("0x3210", 0x83828180), ("0x7654", 0x13121110), ("0x0C48", 0x800010FF)],
)
def test_bytes_are_permuted(selector, permuted):
    body = f"""
    mov.b32 %r2, 0x83828180;
    mov.b32 %r3, 0x13121110;
    prmt.b32 %r4, %r2, %r3, {selector}U;
    st.global.b32 [%rd3], %r4;
    """
    assert launch(body)[0] == permuted


@pytest.mark.parametrize(("value", "rounded"), [(1.00390625, 0x3F80), (1.01171875, 0x3F82)])
def test_bfloat16_rounds_to_even(value, rounded):
    bits = int(np.float32(value).view("u4"))
    body = "cvt.rn.bf16.f32 %rs1, %r9; cvt.u32.u16 %r2, %rs1; st.global.b32 [%rd3], %r2;"
    assert launch(body, argument=bits)[0] == rounded


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("st.global.b32 [%rd3+4], %r1;", "out of bounds"),
        ("add.s64 %rd3, %rd3, 2; st.global.b32 [%rd3], %r1;", "aligned"),
        ("st.global.v2.b32 [%rd3], {%r1, %r1};", "aligned"),
        ("ld.global.b32 %r2, [%rd3];", "nobody has written"),
        ("st.global.b32 [%rd3], %r1; ld.global.b32 %r2, [%rd1];", "another thread"),
        ("st.global.b32 [%rd1], %r1; st.global.b32 [%rd3], %r1;", "another thread"),
        ("st.shared.b32 [%r1], %r1;", "aligned"),
    ],
)
def test_wrong_accesses(body, message):
    with pytest.raises(AccessError, match=message):
        launch(body)


def test_a_barrier_orders_threads_of_a_block_but_not_blocks():
    body = "st.global.b32 [%rd3], %r1; bar.sync 0; ld.global.b32 %r2, [%rd1];"
    launch(body)
    with pytest.raises(AccessError, match="another block"):
        launch(body, blocks=2)


def test_a_branch_that_divides_a_block():
    with pytest.raises(NotImplementedError, match="divides a block"):
        launch("setp.lt.s32 %p1, %r1, 2; @%p1 bra $end; $end:")


def test_an_unknown_instruction():
    with pytest.raises(NotImplementedError, match="popc"):
        launch("popc.b32 %r2, %r1;")
