"""Images: RGB arrays from and to PNG, JPEG, TIFF, BMP and WebP files.

The depth of an image is the dtype of its array: uint8, or uint16 for 16 bits per channel.
"""

from __future__ import annotations

import errno
import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flowdeblur.errors import UserError
from flowdeblur.files import demand_regular, write_bytes
from flowdeblur.video import deep_png

ImageArray = NDArray[np.uint8 | np.uint16]
"""(H, W, 3), RGB over the whole range of its dtype."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


class CorruptImageError(UserError):
    """A file that is truncated, damaged or not an image."""


# Pillow would run Ghostscript for EPS. JPEG includes MPO.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_SAVE: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {"compress_level": 4}),  # 2 to 3 times as fast as Pillow's 6, 4 % larger
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".bmp": ("BMP", {}),
    ".webp": ("WEBP", {"lossless": True}),
}
_EIGHT_BIT_MODES = ("1", "L", "P", "RGB", "YCbCr", "LA", "PA", "RGBA")
_DEEP_GREY_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _BITS_PER_SAMPLE = 274, 258  # tags of EXIF and TIFF

_log = logging.getLogger(__name__)


def list_images(folder: Path) -> list[Path]:
    """List the images of a folder in natural order (``2.png`` before ``10.png``).

    Images are recognized by their suffix (``SUFFIXES``, in any case); other and hidden files are
    skipped.

    Raises:
        UserError: the folder is missing, is not a folder, or contains no image.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder; name a folder of images")
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; name the folder that contains the images")
    found = (each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    images = sorted((each for each in found if not each.name.startswith(".")), key=natural_order)
    if not images:
        raise UserError(f"{folder}: contains no images; put {', '.join(SUFFIXES)} files there")
    return images


def read_image(path: Path) -> ImageArray:
    """Read an image upright, in RGB.

    Greyscale is repeated over the three channels, palettes are looked up, the EXIF orientation is
    applied, an opaque alpha channel is dropped. Of a JPEG with several images the main one is read.

    Returns:
        (H, W, 3), uint8, or uint16 where the file has 16 bits per channel.

    Raises:
        CorruptImageError: the file is truncated or not an image.
        UserError: the file is missing, not a regular file or an animation; it is in CMYK or another
            mode whose RGB values depend on its colour profile; or it has transparent pixels (only
            its owner knows the background).
    """
    with _decoding(path), _open(path) as file:
        number = getattr(file, "n_frames", 1)
        if number > 1 and file.format != "MPO":  # many phones' JPEGs, with one main image
            raise UserError(f"{path}: contains {number} images; save each in a file of its own")
        # Pillow forgets a TIFF's orientation on loading, and knows a PNG's only afterwards.
        orientation = _orientation(file, path) if file.format != "PNG" else 1
        file.load()
        if file.format == "PNG":
            orientation = _orientation(file, path)
        if file.mode in _DEEP_GREY_MODES:
            grey = np.asarray(file, dtype=np.uint16)
            image: ImageArray = np.repeat(grey[..., None], 3, axis=2)
        elif _bits(path, file) == 16:
            assert file.format is not None
            return _upright(_opaque(path, deep_png.decode(path, file.format)), orientation)
        elif file.mode in _EIGHT_BIT_MODES:
            mode = "RGBA" if file.has_transparency_data else "RGB"
            image = _opaque(path, np.asarray(file.convert(mode)))
        else:
            raise UserError(f"{path}: is in {file.mode} mode; convert it to RGB with 8 or 16 bits")
        return _upright(image, 1 if file.format == "TIFF" else orientation)


def image_size(path: Path) -> tuple[int, int]:
    """Read (H, W) of the upright image from the file's header, without decoding it.

    An orientation that is stored after the pixels of a PNG, which is rare, is not seen.

    Raises:
        CorruptImageError: the file is not an image.
        UserError: the file is missing or not a regular file.
    """
    with _decoding(path), _open(path) as file:
        sideways = _orientation(file) >= 5 and file.format != "TIFF"
        return file.size if sideways else (file.height, file.width)


def read_profile(path: Path) -> bytes | None:
    """Read the ICC profile, without which a wide-gamut image would look dull; None without one.

    Raises:
        UserError: the file is missing or not an image.
    """
    with _decoding(path), _open(path) as file:
        profile: bytes | None = file.info.get("icc_profile")
        return profile if file.mode in ("RGB", "RGBA", "P") else None


def write_image(
    path: Path, image: ImageArray, *, profile: bytes | None = None, fast: bool = False
) -> None:
    """Write an image atomically; all kinds are lossless except JPEG (quality 95, 4:4:4).

    Args:
        path: with one of ``SUFFIXES``; PNG where ``image`` is uint16.
        image: (H, W, 3), uint8 or uint16.
        profile: ICC colour profile to embed.
        fast: write 8-bit PNG files in a third of the time, a tenth larger.

    Raises:
        UserError: the suffix is unknown, or does not allow 16 bits.
        ValueError: ``image`` has another shape or dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected (H, W, 3) uint8 or uint16, got {image.shape} {image.dtype}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown image suffix; use one of {', '.join(SUFFIXES)}")
    if image.dtype == np.uint8:
        kind, options = _SAVE[suffix]
        if fast and kind == "PNG":
            options = {"compress_level": 1}
        content = io.BytesIO()
        Image.fromarray(image).save(content, kind, icc_profile=profile, **options)
        write_bytes(path, content.getvalue(), durable=False)
    elif suffix == ".png":
        encoded = deep_png.encode(image.astype(np.uint16, copy=False), profile)
        write_bytes(path, encoded, durable=False)
    else:
        raise UserError(f"{path}: an image with 16 bits per channel can only be written as .png")


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn what Pillow and FFmpeg raise into one line."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UserError(f"{path}: too large; cut it into images of fewer pixels") from None
    except Exception as error:  # for damaged files Pillow raises almost every type
        named = isinstance(error, OSError) and error.filename is not None
        if isinstance(error, OSError) and (named or error.errno == errno.EIO):
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from None
        raise CorruptImageError(
            f"{path}: is truncated or not an image; replace or remove it"
        ) from None


def _open(path: Path) -> Image.Image:
    demand_regular(path)
    return Image.open(path, formats=_FORMATS)


def _orientation(file: Image.Image, path: Path | None = None) -> int:
    """EXIF orientation, 1 .. 8; 1 without one. If ``path`` is given, damaged EXIF is reported."""
    try:
        # The method of the base class, because that of PNG files decodes the image first.
        value = Image.Image.getexif(file).get(_ORIENTATION, 1)
    except Exception:  # the EXIF data are damaged, which does not make the pixels so
        if path is not None:
            _log.warning("%s: its EXIF data are damaged and ignored", path)
        return 1
    return int(value) if value in range(1, 9) else 1


def _bits(path: Path, file: Image.Image) -> int:
    """Bits per channel in the file; Pillow's RGB modes silently keep only the upper 8 of 16."""
    if file.format == "PNG":
        with path.open("rb") as content:
            return content.read(25)[24]  # the depth in the header chunk, which comes first
    if file.format == "TIFF":
        return int(file.tag_v2.get(_BITS_PER_SAMPLE, (8,))[0])  # type: ignore[attr-defined]
    return 8


def _opaque(path: Path, image: ImageArray) -> ImageArray:
    """Drop an alpha channel whose pixels are all opaque."""
    if image.shape[2] == 4 and (image[..., 3] < np.iinfo(image.dtype).max).any():
        raise UserError(f"{path}: has transparent pixels; flatten it onto a background first")
    return image[..., :3]


def _upright(image: ImageArray, orientation: int) -> ImageArray:
    """Undo the EXIF orientation (1 .. 8), which describes where the first row and column belong."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    # A copy, because Pillow's arrays are read-only and torch.from_numpy warns of those.
    return np.array(image, order="C")


def natural_order(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Sort key of file names: ``2.png`` comes before ``10.png``."""
    parts = re.split(r"(\d+)", path.name)
    key = [(0, int(each)) if each.isdecimal() else (1, each.lower()) for each in parts]
    return key, path.name  # the whole name orders 1.png and 01.png
