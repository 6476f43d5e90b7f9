"""Pictures: RGB arrays from and to PNG, JPEG, TIFF, BMP and WebP files.

The depth of a picture is the dtype of its array: uint8, or uint16 for files with 16 bits a channel.
"""

from __future__ import annotations

import re
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowdeblur.errors import UserError
from flowdeblur.files import replacing

ImageArray = NDArray[np.uint8 | np.uint16]
"""(H, W, 3), RGB over the whole range of its dtype."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


class CorruptImageError(UserError):
    """A picture that is truncated, or none at all."""


_SAVE: dict[str, dict[str, Any]] = {
    ".png": {"compress_level": 4},  # 2 to 3 times as fast as Pillow's 6, for 4 % more bytes
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}
_EIGHT_BIT_MODES = ("1", "L", "P", "RGB", "YCbCr", "LA", "PA", "RGBA")
_DEEP_GREY_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _BITS_PER_SAMPLE = 274, 258  # tags of EXIF and TIFF


def list_images(folder: Path) -> list[Path]:
    """List the pictures of a folder in natural order (``2.png`` before ``10.png``).

    Pictures are told by their suffix (``SUFFIXES``, in any case); other and hidden files are passed
    over.

    Raises:
        UserError: the folder is missing, is no folder, or holds no picture.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder; name a folder of pictures")
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; name the folder that holds the pictures")
    found = (each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    visible = (each for each in found if not each.name.startswith("."))
    pictures = sorted(visible, key=natural_order)
    if not pictures:
        raise UserError(f"{folder}: holds no pictures; put {', '.join(SUFFIXES)} files there")
    return pictures


def read_image(path: Path) -> ImageArray:
    """Read a picture upright, in RGB.

    Greyscale is repeated over the three channels, palettes are looked up, the EXIF orientation is
    applied, an opaque alpha channel is dropped. Of a multi-picture JPEG the main picture is read.

    Returns:
        (H, W, 3), uint8, or uint16 where the file has 16 bits a channel.

    Raises:
        CorruptImageError: the file is truncated or not a picture.
        UserError: the file is missing or an animation; it is in CMYK or another mode whose RGB
            values only its colour profile could tell; or it has transparent pixels (what shows
            behind them is for its owner to say).
    """
    picture, orientation = _load(path)
    image: ImageArray
    if picture.mode in _DEEP_GREY_MODES:
        image = np.repeat(np.asarray(picture, dtype=np.uint16)[..., None], 3, axis=2)
    elif _bits(path, picture) == 16:
        return _upright(_read_deep_colour(path), orientation)
    elif picture.mode in _EIGHT_BIT_MODES:
        image = _eight_bit(path, picture)
    else:
        raise UserError(f"{path}: is in {picture.mode} mode; convert it to RGB with 8 or 16 bits")
    return _upright(image, 1 if picture.format == "TIFF" else orientation)


def image_size(path: Path) -> tuple[int, int]:
    """Read (H, W) of the upright picture from the file's header, without decoding it.

    An orientation that stands behind the pixels of a PNG, which is rare, is not seen.

    Raises:
        CorruptImageError: the file is not a picture.
        UserError: the file is missing.
    """
    with _open(path) as picture:
        sideways = _orientation(picture) >= 5 and picture.format != "TIFF"
        return picture.size if sideways else (picture.height, picture.width)


def read_profile(path: Path) -> bytes | None:
    """Read the ICC profile, without which a wide-gamut picture would look dull; None without one.

    Raises:
        UserError: the file is missing or not a picture.
    """
    with _open(path) as picture:
        profile: bytes | None = picture.info.get("icc_profile")
        return profile if picture.mode in ("RGB", "RGBA", "P") else None


def write_image(
    path: Path, image: ImageArray, *, profile: bytes | None = None, fast: bool = False
) -> None:
    """Write a picture beside and rename it; all kinds are lossless but JPEG (quality 95, 4:4:4).

    Args:
        path: with one of ``SUFFIXES``; PNG where ``image`` is uint16.
        image: (H, W, 3), uint8 or uint16.
        profile: ICC colour profile to put into the file.
        fast: write 8-bit PNG files in a third of the time, a tenth larger.

    Raises:
        UserError: the suffix is unknown, or not one for 16 bits.
        ValueError: ``image`` has another shape or dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected (H, W, 3) uint8 or uint16, got {image.shape} {image.dtype}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown picture suffix; use one of {', '.join(SUFFIXES)}")
    deep = image.dtype == np.uint16
    if deep and suffix != ".png":
        raise UserError(f"{path}: a picture with 16 bits a channel is written as .png only")
    with replacing(path) as partial:
        if deep:
            partial.write_bytes(_deep_png(image, profile))
        else:
            options = {"compress_level": 1} if fast and suffix == ".png" else _SAVE.get(suffix, {})
            Image.fromarray(image).save(partial, icc_profile=profile, **options)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        raise UserError(f"{path}: too large; cut it into pictures of fewer pixels") from None
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
        raise _damaged(path) from None


def _load(path: Path) -> tuple[Image.Image, int]:
    """The pixels as they are in the file (TIFF: turned by Pillow), and the EXIF orientation."""
    with _open(path) as picture:
        number = getattr(picture, "n_frames", 1)
        if number > 1 and picture.format != "MPO":  # many phones' JPEGs, with one main picture
            raise UserError(f"{path}: holds {number} pictures; save each in a file of its own")
        try:
            # Pillow forgets a TIFF's when it loads it, and knows a PNG's only when it has.
            orientation = _orientation(picture) if picture.format != "PNG" else 1
            picture.load()
            if picture.format == "PNG":
                orientation = _orientation(picture)
        except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error):
            raise _damaged(path) from None
        return picture, orientation


def _orientation(picture: Image.Image) -> int:
    # Of the base class, because a PNG's own method decodes the picture first.
    return int(Image.Image.getexif(picture).get(_ORIENTATION, 1))


def _damaged(path: Path) -> UserError:
    return CorruptImageError(f"{path}: is truncated or not a picture; replace or remove it")


def _transparent(path: Path) -> UserError:
    return UserError(f"{path}: has transparent pixels; flatten it onto a background first")


def _bits(path: Path, picture: Image.Image) -> int:
    """Bits a channel in the file; of 16, Pillow's RGB modes keep the upper 8 without a word."""
    if picture.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]  # the depth in the header chunk, which every PNG begins with
    if picture.format == "TIFF":
        return int(picture.tag_v2.get(_BITS_PER_SAMPLE, (8,))[0])  # type: ignore[attr-defined]
    return 8


def _read_deep_colour(path: Path) -> NDArray[np.uint16]:
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            has_alpha = any(component.is_alpha for component in frame.format.components)
            image = frame.to_ndarray(format="rgba64le" if has_alpha else "rgb48le")
    except (av.FFmpegError, StopIteration, IndexError):
        raise _damaged(path) from None
    if has_alpha and (image[..., 3] < np.iinfo(np.uint16).max).any():
        raise _transparent(path)
    return image[..., :3].astype(np.uint16)


def _eight_bit(path: Path, picture: Image.Image) -> NDArray[np.uint8]:
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB"))
    image = np.asarray(picture.convert("RGBA"))
    if (image[..., 3] < np.iinfo(np.uint8).max).any():
        raise _transparent(path)
    return image[..., :3]


def _upright(image: ImageArray, orientation: int) -> ImageArray:
    """Undo the EXIF orientation (1 .. 8), which tells where the first row and column belong."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    # A copy, because Pillow's arrays are read-only and torch.from_numpy warns of those.
    return np.array(image, order="C")


def _deep_png(image: ImageArray, profile: bytes | None) -> bytes:
    """Encode with FFmpeg, because Pillow writes no colour PNG of more than 8 bits."""
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = image.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb48be", Fraction(1)
    codec.sample_aspect_ratio = Fraction(1)  # unset, it would be written as 0:1
    frame = av.VideoFrame.from_ndarray(image.astype(np.uint16), format="rgb48be")
    frame.pts = 0
    file = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
    end_of_header = 33  # signature 8, length 4, name 4, IHDR 13, checksum 4
    return file[:end_of_header] + _profile_chunk(profile) + file[end_of_header:]


def _profile_chunk(profile: bytes | None) -> bytes:
    if profile is None:
        return b""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def natural_order(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Sort key of file names: ``2.png`` comes before ``10.png``."""
    parts = re.split(r"(\d+)", path.name)
    key = [(0, int(each)) if each.isdecimal() else (1, each.lower()) for each in parts]
    return key, path.name  # the name alone orders 1.png and 01.png
