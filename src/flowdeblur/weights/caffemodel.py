"""A reader of ``.caffemodel`` files: the five fields of Caffe's protocol buffers that hold weights.

Lengths come from the file, so none is believed: every message is a slice of the mapped file, and
nothing is copied or allocated until a caller asks for the values of a blob.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowdeblur.errors import UserError

# Field numbers of caffe.proto.
_NET_LAYER = 100
_LAYER_NAME, _LAYER_BLOBS = 1, 7
_BLOB_DATA, _BLOB_SHAPE = 5, 7
_SHAPE_DIM = 1
# Wire types of protocol buffers.
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5

_MOST_DIMENSIONS = 32  # Caffe's own limit


class _DamageError(Exception):
    """The bytes are no protocol buffer of the expected kind."""


class Blob(NamedTuple):
    """An array of a layer.

    Attributes:
        shape: as the file says it, not compared with the number of values.
        values: all of them, flat, float32, read-only.
    """

    shape: tuple[int, ...]
    values: NDArray[np.float32]


def read(path: Path) -> dict[str, list[Blob]]:
    """Read the blobs of every layer, by the layer's name.

    Raises:
        UserError: the file is missing, truncated, or no Caffe model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a .caffemodel file")
    try:
        layers = dict(_layers(np.memmap(path, np.uint8, "r").data))
    except (_DamageError, ValueError):  # np.memmap's word for an empty file
        raise UserError(f"{path}: truncated, or no Caffe model; fetch it again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not layers:
        raise UserError(f"{path}: holds no layers; name a .caffemodel file, not a .prototxt")
    return layers


def _layers(net: memoryview) -> Iterator[tuple[str, list[Blob]]]:
    for message in _messages(net, _NET_LAYER):
        name = b"".join(_messages(message, _LAYER_NAME)).decode(errors="replace")
        yield name, [_blob(blob) for blob in _messages(message, _LAYER_BLOBS)]


def _blob(message: memoryview) -> Blob:
    shape: list[int] = []
    for dimensions in _messages(message, _BLOB_SHAPE):
        for packed in _messages(dimensions, _SHAPE_DIM):
            position = 0
            while position < len(packed):
                value, position = _varint(packed, position)
                shape.append(value)
                if len(shape) > _MOST_DIMENSIONS:
                    raise _DamageError
    # One run of values in all files that Caffe writes; the format would allow several.
    data = list(_messages(message, _BLOB_DATA))
    if len(data) > 1 or any(len(run) % 4 for run in data):
        raise _DamageError
    return Blob(tuple(shape), np.frombuffer(data[0] if data else b"", "<f4"))


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the contents of a length-delimited field, wherever it stands among the others."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            position = _varint(data, position)[1]
            length = 0
        elif wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise _DamageError
        if length > len(data) - position or (number == wanted and wire != _BYTES):
            raise _DamageError
        if number == wanted:
            yield data[position : position + length]
        position += length


def _varint(data: memoryview, start: int) -> tuple[int, int]:
    """Read an integer of 7 bits a byte, low ones first; return it and where it ends."""
    value = 0
    for position in range(start, min(start + 10, len(data))):
        value |= (data[position] & 0x7F) << 7 * (position - start)
        if data[position] < 0x80:
            return value, position + 1
    raise _DamageError
