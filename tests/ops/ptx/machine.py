"""An interpreter of the PTX that Triton emits for the operator: NumPy over all threads at once.

Blocks run in lock step until they branch apart. What hardware leaves open is an error here: a
branch that divides a block, or the accesses that ``memory.py`` refuses. Approximate operations
(``ex2.approx``, ``rcp.approx``, ``div.full``) are computed exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.ops.ptx.arithmetic import COMPARISONS, FUNCTIONS
from tests.ops.ptx.memory import Memory, Threads
from tests.ops.ptx.program import Instruction, Program

Array = NDArray[Any]
_SHARED_BYTES = 2**15  # of a block
_TYPES = {f"{kind}{bits}": np.dtype(f"{letter}{bits // 8}")
          for kind, letter in (("u", "u"), ("b", "u"), ("s", "i"), ("f", "f"))
          for bits in (16, 32, 64)} | {"pred": np.dtype(bool)}  # fmt: skip
_WIDER = {"u2": "u4", "i2": "i4", "u4": "u8", "i4": "i8", "f4": "f8", "f8": "g"}


@dataclass
class _Blocks:
    """Blocks that execute the same instruction.

    Attributes:
        numbers: of the blocks (n,).
        registers: values (n, threads) as unsigned integers or bool.
        next: index of the instruction.
        barriers: barriers passed (n,).
        warp_barriers: the same with those of single warps.
    """

    numbers: Array
    registers: dict[str, Array]
    next: int
    barriers: Array
    warp_barriers: Array

    def where(self, chosen: Array, goto: int) -> _Blocks:
        registers = {name: value[chosen] for name, value in self.registers.items()}
        return replace(
            self,
            numbers=self.numbers[chosen],
            registers=registers,
            next=goto,
            barriers=self.barriers[chosen],
            warp_barriers=self.warp_barriers[chosen],
        )


class Machine:
    """Runs one launch.

    Args:
        program: the kernel.
        arguments: values of its parameters; addresses for pointers.
        grid: numbers of blocks along x and y.
        memory: global memory.
    """

    def __init__(
        self, program: Program, arguments: list[int], grid: tuple[int, int], memory: Memory
    ) -> None:
        self._program = program
        padded = arguments + [0] * len(program.parameters)  # pointers to scratch are not used
        self._arguments = dict(zip(program.parameters, padded, strict=False))
        self._grid = grid
        self._memory = {"global": memory}

    def run(self) -> None:
        """Execute all blocks.

        Raises:
            AccessError: an access is out of bounds, misaligned, too early or in a race.
            NotImplementedError: an instruction is unknown, or a branch divides a block.
        """
        count = self._grid[0] * self._grid[1]
        start = np.zeros(count, int)
        pending = [_Blocks(np.arange(count), {}, 0, start, start)]
        with np.errstate(all="ignore"):
            while pending:
                self._blocks = pending.pop()
                pending += self._run_until_blocks_part()

    def _run_until_blocks_part(self) -> list[_Blocks]:
        blocks = self._blocks
        self._shape = (len(blocks.numbers), self._program.threads)
        while True:
            instruction = self._program.code[blocks.next]
            blocks.next += 1
            name = instruction.parts[0]
            if name in ("ret", "exit"):
                return []
            if name == "bra":
                target = self._program.labels[instruction.operands[0]]
                taken = self._active(instruction)
                if (taken.any(1) != taken.all(1)).any():
                    raise NotImplementedError(f"a branch divides a block: {instruction}")
                taken = taken[:, 0]
                if not taken.all() and taken.any():
                    return [blocks.where(taken, target), blocks.where(~taken, blocks.next)]
                if taken.all():
                    blocks.next = target
            elif name in ("bar", "barrier"):
                blocks.warp_barriers = blocks.warp_barriers + 1
                blocks.barriers = blocks.barriers + ("warp" not in instruction.parts)
            elif name in ("ld", "st") and instruction.parts[1] != "param":
                self._access(instruction)
            else:
                self._compute(instruction)

    def _active(self, instruction: Instruction) -> Array:
        if instruction.predicate is None:
            return np.ones(self._shape, bool)
        return self._blocks.registers[instruction.predicate] ^ instruction.negated

    def _read(self, operand: str, dtype: np.dtype[Any]) -> Array:
        if operand.startswith("{"):
            half = np.dtype(f"u{dtype.itemsize // 2}")
            parts = [self._read(each, half) for each in re.findall(r"[%\w]+", operand)]
            return np.stack(parts, -1).view(dtype)[..., 0]
        if operand == "%tid.x":
            value = np.arange(self._shape[1], dtype="u4")
        elif operand in ("%ctaid.x", "%ctaid.y"):
            numbers = self._blocks.numbers[:, None]
            width = self._grid[0]
            value = (numbers % width if operand[-1] == "x" else numbers // width).astype("u4")
        elif operand in self._blocks.registers:
            value = self._blocks.registers[operand]
        elif operand.startswith("%"):
            raise NotImplementedError(f"{operand} is read before a write")
        elif operand[:2] in ("0f", "0d"):
            value = np.array(int(operand[2:], 16), f"u{4 if operand[1] == 'f' else 8}")
        elif operand == "global_smem":
            value = np.array(0, dtype)
        else:
            bits = 8 * dtype.itemsize
            value = np.array(int(operand.rstrip("U"), 0) % 2**bits, f"u{dtype.itemsize}")
        if value.itemsize > dtype.itemsize:  # the lower part of a wide register
            value = value.astype(f"u{dtype.itemsize}")
        return np.broadcast_to(value if value.dtype == dtype else value.view(dtype), self._shape)

    def _write(self, operand: str, value: Array, active: Array) -> None:
        if operand.startswith("{"):
            names = re.findall(r"[%\w]+", operand)
            halves = np.ascontiguousarray(value).view(f"u{value.itemsize // len(names)}")
            for place, name in enumerate(names):
                self._write(name, halves.reshape(*self._shape, len(names))[..., place], active)
            return
        if value.dtype != bool:
            value = value.view(f"u{value.itemsize}")
        if not active.all():
            # Threads without the predicate keep what they had; nothing yet reads as all bits set.
            unset = np.array(-1).astype(value.dtype)
            value = np.where(active, value, self._blocks.registers.get(operand, unset))
        self._blocks.registers[operand] = np.broadcast_to(value, self._shape)

    def _compute(self, instruction: Instruction) -> None:
        name, *modifiers = instruction.parts
        target, *operands = instruction.operands
        if (name, *modifiers[:1]) == ("ld", "param"):
            value = np.array(self._arguments[operands[0].strip("[]")]).astype(_TYPES[modifiers[1]])
            value = value.astype(f"{value.dtype.kind}{8 if target.startswith('%rd') else 4}")
        elif name == "cvt":
            value = self._convert(modifiers, operands)
        elif name == "selp":
            dtype = np.dtype(f"u{_TYPES[modifiers[-1]].itemsize}")
            chosen = self._read(operands[2], np.dtype(bool))
            value = np.where(chosen, *(self._read(x, dtype) for x in operands[:2]))
        elif name == "shfl":
            value = self._shuffle(modifiers[1], operands)
        elif name in ("shl", "shr"):
            value = self._shift(name, _TYPES[modifiers[-1]], operands)
        elif name == "setp":
            value = self._compare(modifiers, operands)
        elif name in FUNCTIONS:
            dtype = _TYPES[modifiers[-1]]
            wide = (
                np.dtype(_WIDER[dtype.str[1:]]) if name == "fma" or "wide" in modifiers else dtype
            )
            inputs = [self._read(x, dtype).astype(wide) for x in operands[:2]]
            inputs += [self._read(x, wide if "wide" in modifiers else dtype) for x in operands[2:]]
            value = FUNCTIONS[name](*inputs)
            value = value.astype(dtype) if name == "fma" else value
        else:
            raise NotImplementedError(str(instruction))
        self._write(target, np.broadcast_to(value, self._shape), self._active(instruction))

    def _convert(self, modifiers: list[str], operands: list[str]) -> Array:
        target, source = modifiers[-2:]
        if target in ("bf16x2", "f16x2"):  # the second operand is the lower half
            halves = [self._convert(["rn", target[:-2], source], [x]) for x in operands[::-1]]
            return np.stack([x.view("u2") for x in halves], -1).view("u4")[..., 0]
        if source == "bf16":
            return (self._read(operands[0], np.dtype("u2")).astype("u4") << 16).view("f4")
        value = self._read(operands[0], _TYPES[source])
        if target == "bf16":  # round to nearest, ties to even
            bits = value.view("u4").astype("u8")
            rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("u2")
            return np.where(np.isnan(value), np.uint16(0x7FFF), rounded)
        return value.astype(_TYPES[target])

    def _shift(self, name: str, dtype: np.dtype[Any], operands: list[str]) -> Array:
        value, count = self._read(operands[0], dtype), self._read(operands[1], np.dtype("u4"))
        bits = 8 * dtype.itemsize
        shift = np.left_shift if name == "shl" else np.right_shift
        shifted = shift(value, np.minimum(count, bits - 1).astype(dtype))
        return shifted if dtype.kind == "i" else np.where(count < bits, shifted, dtype.type(0))

    def _compare(self, modifiers: list[str], operands: list[str]) -> Array:
        comparison, *_, kind = modifiers
        left, right = (self._read(x, _TYPES[kind]) for x in operands[:2])
        unordered = left != left
        unordered = unordered | (right != right)
        unsigned_names = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
        comparison = unsigned_names.get(comparison, comparison)
        if comparison in ("nan", "num"):
            value = unordered if comparison == "nan" else ~unordered
        else:
            value = COMPARISONS[comparison[:2]](left, right) & ~unordered
            if len(comparison) == 3:  # ltu and the like hold for NaN, too
                value = value | unordered
        if len(operands) == 3:  # a second condition
            combine = {"and": np.logical_and, "or": np.logical_or}[modifiers[1]]
            value = combine(value, self._read(operands[2], np.dtype(bool)))
        return value

    def _shuffle(self, mode: str, operands: list[str]) -> Array:
        value, offset, clamp = (self._read(x, np.dtype("u4")) for x in operands[:3])
        offset, clamp = offset.astype(int) & 31, clamp.astype(int)
        lane = np.arange(self._shape[1]) % 32
        segment = clamp >> 8 & 31
        lowest = lane & segment
        highest = lowest | (clamp & 31 & ~segment)
        source = {
            "up": lane - offset,
            "down": lane + offset,
            "bfly": lane ^ offset,
            "idx": lowest | (offset & ~segment),
        }[mode]
        inside = source >= highest if mode == "up" else source <= highest
        source = np.where(inside, source, lane) + np.arange(self._shape[1]) // 32 * 32
        return np.take_along_axis(value, source, 1)

    def _access(self, instruction: Instruction) -> None:
        name, *modifiers = instruction.parts
        space = next(x.split(":")[0] for x in modifiers if x.startswith(("global", "shared")))
        count = next((int(x[1:]) for x in modifiers if re.fullmatch(r"v\d", x)), 1)
        dtype = _TYPES[modifiers[-1]]
        address, vector = instruction.operands[:: 1 if name == "st" else -1]
        names = re.findall(r"[%\w]+", vector)
        base, offset = re.fullmatch(r"\[\s*([%\w]+)\s*(?:\+\s*(-?\d+))?\s*\]", address).groups()
        pointers = self._read(base, np.dtype("u8" if space == "global" else "u4")).astype(int)
        block, thread = np.nonzero(self._active(instruction))
        addresses = (pointers + int(offset or 0))[block, thread]
        numbers = self._blocks.numbers[block]
        if space == "shared":
            addresses = addresses + self._shared_memory() + numbers * _SHARED_BYTES
        if not len(addresses):
            return
        memory = self._memory[space]
        barriers = self._blocks.barriers[block], self._blocks.warp_barriers[block]
        threads = Threads(numbers, thread, *barriers)
        if name == "ld":
            loaded = memory.load(addresses, count * dtype.itemsize, threads).view(dtype)
            for place, register in enumerate(names):
                value = np.zeros(self._shape, dtype)
                value[block, thread] = loaded[:, place]
                self._write(register, value, self._active(instruction))
        else:
            values = [self._read(x, dtype)[block, thread] for x in names]
            memory.store(addresses, np.stack(values, -1).view("u1"), threads)

    def _shared_memory(self) -> int:
        """Return the address of the first block's shared memory."""
        if "shared" not in self._memory:
            size = self._grid[0] * self._grid[1] * _SHARED_BYTES
            self._memory["shared"] = Memory(size + 1024)
            self._memory["shared"].allocate(size, 0)
        return 256
