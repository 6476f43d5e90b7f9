"""Indexes of packed frames that are damaged or contradict themselves."""

from __future__ import annotations

import copy
import json

import pytest

from flowdeblur.datasets.packed.index import FORMAT, from_json
from flowdeblur.errors import UserError


def clip(name):
    shards = {
        kind: {"file": f"{name}.{kind}.npy", "bytes": 2 * 3 * 4 * 5 + 128, "sha256": "0" * 64}
        for kind in ("blurry", "sharp")
    }
    return {"name": name, "size": [4, 5], "frames": ["0", "1"], **shards}


INDEX = {"format": FORMAT, "clips": [clip("a"), clip("b")]}


def test_a_sound_index():
    first, second = from_json(json.dumps(INDEX), "index.json")
    assert (first.name, second.name) == ("a", "b")
    assert first.shape == (2, 3, 4, 5)
    assert first.blurry.file == "a.blurry.npy"


def changed(path, value):
    index = copy.deepcopy(INDEX)
    *parents, last = path
    node = index
    for each in parents:
        node = node[each]
    node[last] = value
    return index


DAMAGED = "is damaged or not an index"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["clips"], None, DAMAGED),
        (["clips"], "ab", DAMAGED),
        (["clips"], [3], DAMAGED),
        (["clips", 0], {}, DAMAGED),
        (["clips", 0, "name"], 3, DAMAGED),
        (["clips", 0, "name"], ["a"], DAMAGED),
        (["clips", 0, "size"], [4], DAMAGED),
        (["clips", 0, "size"], [4, 0], DAMAGED),
        (["clips", 0, "size"], [4, -5], DAMAGED),
        (["clips", 0, "size"], [4, 5.5], DAMAGED),
        (["clips", 0, "size"], [True, 5], DAMAGED),
        (["clips", 0, "size"], "45", DAMAGED),
        (["clips", 0, "frames"], [], DAMAGED),
        (["clips", 0, "frames"], "01", DAMAGED),
        (["clips", 0, "frames"], ["0", "0"], DAMAGED),
        (["clips", 0, "frames"], ["0", 1], DAMAGED),
        (["clips", 0, "frames"], ["0", "1", "2"], "cannot contain 3 frames of 5x4"),
        (["clips", 0, "sharp", "bytes"], "248", DAMAGED),
        (["clips", 0, "sharp", "bytes"], -1, "cannot contain 2 frames"),
        (["clips", 0, "sharp", "bytes"], 10**15, "cannot contain 2 frames"),
        (["clips", 0, "sharp", "sha256"], "x", DAMAGED),
        (["clips", 0, "sharp", "sha256"], 0, DAMAGED),
        (["clips", 0, "sharp", "file"], None, DAMAGED),
        (["clips", 0, "sharp", "file"], "/etc/passwd", "not a plain file name"),
        (["clips", 0, "sharp", "file"], "b.sharp.npy", "lists b.sharp.npy twice"),
        (["clips", 0, "sharp", "more"], 1, DAMAGED),
        (["clips", 1, "name"], "a", "lists a twice"),
        (["format"], [], "is of format"),
    ],
)
def test_contradictions(path, value, message):
    with pytest.raises(UserError, match=rf"^index\.json: .*{message}"):
        from_json(json.dumps(changed(path, value)), "index.json")


@pytest.mark.parametrize("text", [b"", b"{", b"3", b"[]", b"\xff\xfe", b"[" * 10**5, b"null"])
def test_what_is_no_json_object(text):
    with pytest.raises(UserError, match=DAMAGED):
        from_json(text, "index.json")
