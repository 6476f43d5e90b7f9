"""Damage for the hostile test: bytes and trees."""

from __future__ import annotations

import copy
import math
import random
import struct
from typing import Any


def mutate(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Damage bytes in one of the ways in which files are damaged, or made to be."""
    data = bytearray(content)
    start = rng.choice([rng.randrange(len(data)), rng.randrange(min(len(data), 200))])
    length = rng.choice([1, 2, 4, 8, 64, len(data) // 4 + 1])
    kind = rng.choice(["cut", "flip", "zeros", "ones", "repeat", "insert", "remove", "number"])
    if kind == "cut":
        del data[start:]
    elif kind == "flip":
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind in ("zeros", "ones"):
        data[start : start + length] = (b"\0" if kind == "zeros" else b"\xff") * len(
            data[start : start + length]
        )
    elif kind == "repeat":
        data[start:start] = data[start : start + length] * rng.choice([1, 2, 50])
    elif kind == "insert":
        data[start:start] = rng.randbytes(length)
    elif kind == "remove":
        del data[start : start + length]
    else:
        number = rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(2**32)])
        data[start : start + 4] = struct.pack(rng.choice("<>") + "I", number)
    return bytes(data), f"{kind} at {start}"


VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2, 3.5, 10**9, 10**30, -(10**30), math.nan, math.inf, 1e-320),
    *("", "x", "evil", "../../etc/passwd", "a\nb", "\0", "${seed}", "x" * 5000, [], {}, [0], [[]]),
    *({"a": 1}, {"_target_": "os.system", "command": "true"}, [None] * 1000, "é", "1e9"),
)


"""What a file may contain where something else is expected."""


def mutate_tree(tree: Any, rng: random.Random) -> str:
    """Change, remove or repeat one node of nested dicts and lists in place."""
    places = [(node, key) for node in _nodes(tree) for key in _keys(node)]
    node, key = rng.choice(places)
    kind = rng.choice(["set", "set", "set", "remove", "repeat", "nest"])
    if kind == "set":
        node[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind == "remove":
        del node[key]
    elif kind == "repeat" and isinstance(node, list):
        node.extend([copy.deepcopy(node[key])] * rng.choice([1, 1000]))
    else:
        for _ in range(rng.choice([1, 50, 400])):
            node[key] = [node[key]] if rng.random() < 0.5 else {str(key): node[key]}
    return f"{kind} {key}"


def _nodes(tree: Any) -> list[Any]:
    if isinstance(tree, dict | list):
        return [tree, *(each for key in _keys(tree) for each in _nodes(tree[key]))]
    return []


def _keys(node: Any) -> list[Any]:
    return list(node) if isinstance(node, dict) else list(range(len(node)))
