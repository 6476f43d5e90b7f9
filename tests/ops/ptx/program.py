"""PTX text as a list of instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        parts: operation and its modifiers, ("add", "s32").
        operands: registers, constants, addresses in brackets and vectors in braces.
        predicate: register without which a thread does nothing, if any.
        negated: whether it is the register's complement.
    """

    parts: tuple[str, ...]
    operands: tuple[str, ...]
    predicate: str | None
    negated: bool


@dataclass(frozen=True)
class Program:
    """A kernel.

    Attributes:
        parameters: names in the order of a launch's arguments.
        threads: threads of a block.
        code: instructions.
        labels: index of the instruction that follows each label.
    """

    parameters: tuple[str, ...]
    threads: int
    code: tuple[Instruction, ...]
    labels: dict[str, int]


def parse(ptx: str) -> Program:
    """Read the only kernel of a module. Scopes are ignored: their registers have distinct names."""
    head, _, body = ptx[ptx.index(".entry") :].partition("\n{")
    body = re.sub(
        r"//.*|^\s*\.(loc|file|pragma|section).*", "", body[: body.index("\n}")], flags=re.M
    )
    code: list[Instruction] = []
    labels: dict[str, int] = {}
    for statement in body.split(";"):
        while match := re.match(r"\s*([\w$]+):|\s*}|\s*{(?=\s*\.reg)", statement):
            if match[1]:
                labels[match[1]] = len(code)
            statement = statement[match.end() :]
        statement = statement.strip()
        if statement and not statement.startswith("."):
            code.append(_instruction(statement))
    return Program(
        parameters=tuple(re.findall(r"(\w+_param_\d+)", head)),
        threads=int(re.search(r"\.reqntid\s+(\d+)", head)[1]),
        code=tuple(code),
        labels=labels,
    )


def _instruction(statement: str) -> Instruction:
    match = re.fullmatch(r"(?:@(!?)(%\w+)\s+)?([\w.:]+)\s*(.*)", statement, re.DOTALL)
    if match is None:
        raise SyntaxError(statement)
    negation, predicate, operation, operands = match.groups()
    # Commas separate operands, but not inside brackets and braces.
    split = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", operands)
    return Instruction(tuple(operation.split(".")), tuple(split), predicate, negation == "!")
