from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
import torch
from tests.weights import caffe as released

from flowdeblur.errors import UserError
from flowdeblur.weights import caffemodel

BLOBS = {
    "conv1": [torch.randn(4, 6, 7, 7), torch.randn(4)],
    "relu": [],
    "rnn": [torch.randn(3, 200)],
    "x": [torch.randn(2, 1)],
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(released.encode(BLOBS))
    return path


def test_layers_come_back_by_name(path):
    layers = caffemodel.read(path)
    assert layers["input"] == layers["relu"] == []
    for name, arrays in BLOBS.items():
        for blob, array in zip(layers[name], arrays, strict=True):
            assert blob.shape == tuple(array.shape)
            np.testing.assert_array_equal(blob.values, array.flatten().numpy())


def attempt(path, content):
    """Read ``content``: whatever it is, blobs or a UserError come of it, and little memory goes."""
    path.write_bytes(content)
    try:
        layers = caffemodel.read(path)
    except UserError as error:
        reported = str(error)
    else:
        reported = None
    if reported is not None:
        assert reported.startswith(f"{path}: ")
        assert "\n" not in reported
        return None
    assert sum(blob.values.nbytes for blobs in layers.values() for blob in blobs) <= len(content)
    return layers


@pytest.fixture
def little_memory():
    """Fails a test whose Python code ever held more than a megabyte, for files of ten kilobytes."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.usefixtures("little_memory")
def test_truncated_anywhere(path):
    whole = path.read_bytes()
    places = random.Random(0).sample(range(len(whole)), 150)
    short = [attempt(path, whole[:place]) for place in places]
    # A file that ends between two layers is a whole file of fewer layers.
    assert sum(layers is None for layers in short) > 0.95 * len(short)
    assert all(len(layers) < 5 for layers in short if layers is not None)


@pytest.mark.usefixtures("little_memory")
def test_mutated_anywhere(path):
    whole = path.read_bytes()
    chance = random.Random(1)
    heads = [i for i in range(len(whole)) if i < 60 or len(whole) - i < 60]
    refused = 0
    for _ in range(600):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.choice(heads) if chance.random() < 0.8 else chance.randrange(len(whole))
            content[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        refused += attempt(path, bytes(content)) is None
    assert refused > 200


@pytest.mark.usefixtures("little_memory")
def test_random_bytes(path):
    chance = random.Random(2)
    for _ in range(500):
        attempt(path, chance.randbytes(chance.randint(1, 60)))


@pytest.mark.parametrize(
    "content",
    [
        b"\xa2\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f",  # a layer of 2^63 bytes
        b"\xa2\x06\x80",  # a length that does not end
        b"\x80" * 20,  # an integer of 20 bytes
        b"\xa0\x06\x01",  # a layer that is an integer
        b"\xa3\x06",  # a group, which Caffe never had
        b"\xa2\x06\x06\x3a\x04\x2a\x02\x00\x00",  # half a float
        b"\xa2\x06\x26\x3a\x24\x3a\x22\x0a\x20" + b"\x01" * 33,  # 32 dimensions, and then a byte
        b"\xa2\x06\x29\x3a\x27\x3a\x25\x0a\x23" + b"\x01" * 35,  # 35 dimensions
    ],
)
def test_wrong_lengths(path, content):
    assert attempt(path, content) is None
