"""Every kind of picture becomes 8-bit RGB of the tower's size; every kind of invalid input an InputError."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glimpse.backbone import ImageLimits, ImageRule, InputError, decode_image
from support.pictures import encoded, picture

SQUASH = ImageRule(size=16, resize="squash", interpolation="bilinear")
CROP = ImageRule(size=32, resize="shortest", resize_to=36, interpolation="bicubic")
REASONS = {
    *("IMAGE_EMPTY", "IMAGE_FORMAT_UNKNOWN", "IMAGE_FORMAT_UNSUPPORTED", "IMAGE_DAMAGED", "IMAGE_TRUNCATED"),
    *("IMAGE_TOO_LARGE", "IMAGE_TOO_COMPLEX"),
}


def scene(width: int, height: int, seed: int = 0) -> Image.Image:
    """Returns a picture of smooth colours with edges."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def test_squash_is_a_plain_resize() -> None:
    image = scene(90, 40)
    wanted = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode_image(encoded(image), SQUASH), wanted)


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (36, 36), (33, 500), (1000, 37), (7, 5), (36, 37), (101, 99)])
def test_shortest_is_resize_and_central_crop(size: tuple[int, int]) -> None:
    """Compares with torchvision's Resize(36) and CenterCrop(32)."""
    image = scene(*size)
    width, height = size
    short = min(size)
    target = (int(36 * width / short), int(36 * height / short))
    resized = image.resize(target, Image.Resampling.BICUBIC)
    left, top = round((target[0] - 32) / 2), round((target[1] - 32) / 2)
    wanted = np.asarray(resized.crop((left, top, left + 32, top + 32)), int)
    found = decode_image(encoded(image), CROP).astype(int)
    assert np.abs(found - wanted).max() <= 1


def test_a_picture_of_the_right_size_is_left_as_it_is() -> None:
    image = scene(16, 16)
    np.testing.assert_array_equal(decode_image(encoded(image), SQUASH), np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    image = scene(16, 16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_270],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_90],
    }
    upright = image
    for turn in turns.get(orientation, []):
        upright = upright.transpose(turn)
    np.testing.assert_array_equal(decode_image(encoded(image, exif=exif), SQUASH), np.asarray(upright))


def test_transparency_lies_over_white() -> None:
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 8, 16))
    found = decode_image(encoded(image), SQUASH)
    assert found[0, 0].tolist() == [0, 0, 255]
    assert found[0, 15].tolist() == [255, 255, 255]


def test_a_palette_with_transparency_lies_over_white() -> None:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 8, 16))
    found = decode_image(encoded(image, transparency=0), SQUASH)
    assert found[0, 0].tolist() == [200, 100, 50]
    assert found[0, 15].tolist() == [255, 255, 255]


def test_only_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, SQUASH)[5, 5].tolist() == [255, 0, 0]


def test_cmyk_becomes_rgb() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = decode_image(data, SQUASH)[5, 5].tolist()
    assert red > 200 > 60 > max(green, blue)


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_are_scaled_and_not_clipped(mode: str) -> None:
    values = np.repeat(np.linspace(0, 65_535, 16).astype(np.uint16)[None], 16, 0)
    image = Image.fromarray(values if mode == "I;16" else values.astype(np.int32))
    assert image.mode == mode
    found = decode_image(encoded(image, "TIFF"), SQUASH)
    assert np.abs(found[0, :, 0].astype(int) - np.linspace(0, 255, 16)).max() <= 1


def test_floats_from_0_to_1_are_scaled() -> None:
    values = np.repeat(np.linspace(0, 1, 16, dtype=np.float32)[None], 16, 0)
    found = decode_image(encoded(Image.fromarray(values), "TIFF"), SQUASH)
    assert np.abs(found[0, :, 0].astype(int) - np.linspace(0, 255, 16)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_gives_rgb(mode: str) -> None:
    found = decode_image(encoded(Image.new(mode, (20, 30))), CROP)
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_usual_format_is_read(format: str) -> None:
    red, green, blue = decode_image(picture("red", format=format), SQUASH)[8, 8].tolist()
    assert red > 200 > 60 > max(green, blue)


def bomb() -> bytes:
    """Returns a PNG of 50,000 x 50,000 grey pixels in a few kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "IMAGE_EMPTY"),
        (b"no picture at all", "IMAGE_FORMAT_UNKNOWN"),
        (b"\x89PNG\r\n\x1a\n", "IMAGE_DAMAGED"),
        (picture(size=(300, 300), format="JPEG")[:-400], "IMAGE_TRUNCATED"),
        (encoded(scene(200, 200))[:2000], "IMAGE_TRUNCATED"),
        (bomb(), "IMAGE_TOO_LARGE"),
        (picture(size=(17_000, 1)), "IMAGE_TOO_LARGE"),
        (picture(size=(1, 17_000)), "IMAGE_TOO_LARGE"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "IMAGE_FORMAT_UNSUPPORTED"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_image(data, SQUASH)
    assert caught.value.reason == reason


@pytest.mark.parametrize("limits", [ImageLimits(side=100), ImageLimits(pixels=10_000)])
def test_the_limits_are_inclusive(limits: ImageLimits) -> None:
    assert decode_image(picture(size=(100, 100)), SQUASH, limits).shape == (16, 16, 3)
    with pytest.raises(InputError, match="101"):
        decode_image(picture(size=(101, 100)), SQUASH, limits)


SAMPLES = [picture(format=format, size=(24, 24)) for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")]


def tried(data: bytes) -> Any:
    """Returns the pixels, or the reason of the refusal; any other exception is a bug."""
    try:
        pixels = decode_image(data, SQUASH, ImageLimits(side=2_000, pixels=1_000_000))
    except InputError as error:
        return error.reason
    assert pixels.shape == (16, 16, 3)
    return pixels


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8), st.data()
)
def test_damaged_files_never_get_further(sample: bytes, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    found = tried(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    assert isinstance(found, np.ndarray) or found in REASONS


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_noise_never_gets_further(data: bytes) -> None:
    found = tried(data)
    assert isinstance(found, np.ndarray) or found in REASONS


def test_a_png_with_rubbish_after_its_end_is_read() -> None:
    assert isinstance(tried(picture() + b"rubbish"), np.ndarray)
