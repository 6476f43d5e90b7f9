from __future__ import annotations

import struct
import zlib

import av
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps
from tests.video.clips import cut, make_image, number, psnr

from flowdeblur.errors import UserError
from flowdeblur.video.images import (
    SUFFIXES,
    image_size,
    list_images,
    read_image,
    read_profile,
    write_image,
)

LOSSLESS = [each for each in SUFFIXES if not each.startswith(".jp")]


@pytest.fixture
def deep():
    return np.random.default_rng(0).integers(0, 2**16, (48, 64, 3), dtype=np.uint16)


def deep_png(path, image):
    """Write a 16-bit PNG by hand: no filter, one chunk of each kind."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width, channels = image.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))
    return path


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_what_is_written_is_read(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    write_image(path, make_image())
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("RGB")), make_image())
    image = read_image(path)
    np.testing.assert_array_equal(image, make_image())
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert image.flags.c_contiguous
    assert list(tmp_path.iterdir()) == [path]


def test_jpeg_keeps_the_resolution_of_colour(tmp_path):
    path = tmp_path / "image.jpg"
    stripes = np.zeros((48, 64, 3), np.uint8)
    stripes[:, ::2] = (200, 40, 40)
    stripes[:, 1::2] = (40, 40, 200)
    write_image(path, stripes)
    assert psnr(read_image(path), stripes) > 30  # 4:2:0 would average the columns: 12 dB


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "YCbCr"])
def test_opaque_modes_become_rgb(tmp_path, mode):
    source = Image.fromarray(make_image()).convert("L" if mode in ("LA", "1") else "RGB")
    source = source.convert("P").convert("PA") if mode == "PA" else source.convert(mode)
    path = tmp_path / ("image.tif" if mode in ("YCbCr", "PA") else "image.png")
    source.save(path)
    np.testing.assert_array_equal(read_image(path), np.asarray(source.convert("RGB")))


def test_deep_colour_png_keeps_16_bits(tmp_path, deep):
    image = read_image(deep_png(tmp_path / "deep.png", deep))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, deep)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_deep_colour_tiff_keeps_16_bits(tmp_path, deep, compression, planes):
    path = tmp_path / "deep.tif"
    pixels = deep if planes == "contig" else np.moveaxis(deep, -1, 0)
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig=planes, compression=compression)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, deep)


def test_deep_grey_keeps_16_bits(tmp_path, deep):
    for suffix in (".png", ".tif"):
        path = tmp_path / f"grey{suffix}"
        Image.fromarray(deep[..., 0]).save(path)
        np.testing.assert_array_equal(read_image(path), np.stack([deep[..., 0]] * 3, -1))


def test_deep_opaque_alpha_is_dropped(tmp_path, deep):
    opaque = np.concatenate([deep, np.full_like(deep[..., :1], 65535)], -1)
    np.testing.assert_array_equal(read_image(deep_png(tmp_path / "a.png", opaque)), deep)


def test_deep_png_is_written_for_others(tmp_path, deep):
    path = tmp_path / "deep.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_image(path, deep, profile=profile)
    with av.open(str(path)) as container:
        np.testing.assert_array_equal(next(container.decode(video=0)).to_ndarray(), deep)
    with Image.open(path) as other:
        np.testing.assert_array_equal(np.asarray(other), (deep >> 8).astype(np.uint8))
        assert other.info["icc_profile"] == profile
    assert read_profile(path) == profile


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_the_colour_profile_is_kept(tmp_path, suffix):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"image{suffix}"
    write_image(path, make_image(), profile=profile)
    assert Image.open(path).info["icc_profile"] == profile
    assert read_profile(path) == profile


def test_a_profile_of_grey_is_not_one_for_rgb(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(make_image()[..., 0]).save(path, icc_profile=b"some grey profile")
    assert read_profile(path) is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_orientation_is_applied(tmp_path, orientation, suffix):
    path = tmp_path / f"image{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(make_image()).save(path, exif=exif)
    with Image.open(path) as source:
        expected = np.asarray(ImageOps.exif_transpose(source))
    np.testing.assert_array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_deep_tiff_is_applied(tmp_path, orientation, deep):
    path = tmp_path / "deep.tif"
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(path, deep, photometric="rgb", extratags=[tag])
    with Image.open(path) as source:  # turned, but cut to 8 bits
        expected = np.asarray(source)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image >> 8, expected)
    assert image_size(path) == expected.shape[:2]


def test_transparency_is_refused(tmp_path, deep):
    alpha = Image.fromarray(make_image()[..., 0])
    clear = Image.fromarray(make_image())
    clear.putalpha(alpha)
    clear.save(tmp_path / "rgba.png")
    clear.convert("LA").save(tmp_path / "la.png")
    Image.fromarray(make_image()).convert("P").save(tmp_path / "p.png", transparency=0)
    deep_png(tmp_path / "deep.png", np.concatenate([deep, deep[..., :1]], -1))
    for name in ("rgba", "la", "p", "deep"):
        with pytest.raises(UserError, match=rf"{name}\.png: has transparent pixels; flatten"):
            read_image(tmp_path / f"{name}.png")


def test_modes_without_rgb_are_refused(tmp_path):
    Image.fromarray(make_image()).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: is in CMYK mode; convert it to RGB"):
        read_image(tmp_path / "a.jpg")
    Image.fromarray(make_image()[..., 0].astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif: is in F mode; convert"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_animations_are_refused(tmp_path, suffix):
    first, second = (Image.fromarray(make_image(index)) for index in range(2))
    path = tmp_path / f"film{suffix}"
    first.save(path, save_all=True, append_images=[second])
    with pytest.raises(UserError, match="contains 2 images; save each"):
        read_image(path)


def test_the_main_image_of_several_in_a_jpeg_is_read(tmp_path):
    path = tmp_path / "phone.jpg"
    main, second = Image.fromarray(make_image(2)), Image.fromarray(make_image(5))
    main.save(path, format="MPO", save_all=True, append_images=[second], quality=95)
    assert Image.open(path).n_frames == 2
    assert number(read_image(path)) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("part", [0, 0.03, 0.5, 0.98])
def test_truncated_images_are_refused(tmp_path, suffix, part):
    path = tmp_path / f"image{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    write_image(path, noise)
    with pytest.raises(UserError, match="is truncated or not an image; replace or remove it"):
        read_image(cut(path, part))


@pytest.mark.parametrize("part", [0.5, 0.98])
def test_truncated_deep_images_are_refused(tmp_path, deep, part):
    path = cut(deep_png(tmp_path / "deep.png", deep), part)
    with pytest.raises(UserError, match="is truncated or not an image"):
        read_image(path)


def test_what_is_no_image_is_refused(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("not an image " * 20)
    for read in (read_image, image_size, read_profile):
        with pytest.raises(UserError, match=r"text\.png: is truncated or not an image"):
            read(text)
        with pytest.raises(UserError, match=r"none\.png: cannot be read \(No such file"):
            read(tmp_path / "none.png")


def test_writing_refuses_what_it_would_lose(tmp_path, deep):
    with pytest.raises(UserError, match=r"a\.gif: unknown image suffix; use one of \.png"):
        write_image(tmp_path / "a.gif", make_image())
    with pytest.raises(
        UserError, match=r"a\.jpg: .* 16 bits per channel can only be written as \.png"
    ):
        write_image(tmp_path / "a.jpg", deep)
    for wrong in (make_image().astype(np.float32), make_image()[..., 0]):
        with pytest.raises(ValueError, match="expected \\(H, W, 3\\) uint8 or uint16, got"):
            write_image(tmp_path / "a.png", wrong)
    assert list(tmp_path.iterdir()) == []


def test_images_are_listed_in_natural_order(tmp_path):
    names = ["1.png", "2.jpg", "9.PNG", "010.png", "10.png", "a2.tiff", "a10.webp"]
    for name in [*reversed(names), "notes.txt", "._1.png", "clip.mp4"]:
        (tmp_path / name).touch()
    assert [each.name for each in list_images(tmp_path)] == names


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="none: no such folder"):
        list_images(tmp_path / "none")
    with pytest.raises(UserError, match="contains no images; put"):
        list_images(tmp_path)
    (tmp_path / "file.png").touch()
    with pytest.raises(UserError, match=r"file\.png: not a folder"):
        list_images(tmp_path / "file.png")
