"""The bytes of a file decide whether it is decoded; its metadata and name never do."""

import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import ImageRule, InputError, decode_image
from glimpse.backbone.images.formats import is_read
from support.hostile_images import tiff
from support.pictures import encoded, picture
from support.raw_images import GREY, RGB, chunk, png, riff

RULE = ImageRule(size=16, resize="squash")
COLOURS = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
# An IFD with one entry of an unknown type.
BROKEN_EXIF = bytes.fromhex("0008000201120003")
LARGE = b"x" * 1_500_000


def decoded(data: bytes) -> Any:
    return decode_image(data, RULE)


def compressed_text(name: bytes) -> bytes:
    return chunk(name, b"Comment\0\0" + zlib.compress(LARGE))


PNG_REMARKS = {
    "broken EXIF": chunk(b"eXIf", BROKEN_EXIF),
    "EXIF that points outside": chunk(b"eXIf", b"II*\0\xff\xff\xff\x7f"),
    "EXIF that is empty": chunk(b"eXIf", b""),
    "zTXt": compressed_text(b"zTXt"),
    "iCCP": compressed_text(b"iCCP"),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LARGE)),
    "a bomb": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)),
    "many texts": chunk(b"tEXt", b"a\0b") * 3_000,
    "wrong CRC": chunk(b"tEXt", b"a\0b", crc=7),
    "wrong CRC of what is not read": chunk(b"gAMA", b"\0\0\xb1\x8f", crc=7),
    "damaged profile": chunk(b"iCCP", b"name\0\0nothing"),
    "pHYs too short": chunk(b"pHYs", b"\0"),
    "unknown and ancillary": chunk(b"abCd", bytes(99)),
    "animation without frames": chunk(b"acTL", struct.pack(">II", 0, 0)),
    "animation of odd frames": chunk(b"acTL", b"\xff" * 8) + chunk(b"fcTL", bytes(3)),
}


@pytest.mark.parametrize("name", PNG_REMARKS)
def test_a_png_is_read_whatever_it_says_about_itself(name: str) -> None:
    np.testing.assert_array_equal(decoded(png(COLOURS, RGB, more=PNG_REMARKS[name])), COLOURS)


def test_a_png_without_its_right_transparency_is_opaque() -> None:
    transparent = chunk(b"tRNS", struct.pack(">H", 0), crc=7)
    assert decoded(png(np.zeros((16, 16)), GREY, more=transparent)).max() == 0


@pytest.mark.parametrize("behind", [False, True])
def test_a_pngs_orientation_is_read_at_any_position(behind: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = png(COLOURS, RGB, more=b"" if behind else chunk(b"eXIf", exif.tobytes()[6:]))
    if behind:
        data = data[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + data[-12:]
    np.testing.assert_array_equal(decoded(data), COLOURS[::-1, ::-1])


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


JPEG_REMARKS = {
    "broken EXIF": segment(0xE1, b"Exif\0\0" + BROKEN_EXIF),
    "EXIF in a circle": segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\0\0\0\0"),
    "damaged MPF": segment(0xE2, b"MPF\0II*\0\xff\xff\xff\x7f"),
    "part of a profile": segment(0xE2, b"ICC_PROFILE\0\7\1nothing"),
    "Photoshop's": segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff"),
    "a remark": segment(0xFE, b"\xff\xd8\xff\xda" * 2_000),
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<not closed"),
    "empty": segment(0xE1, b"") + segment(0xE0, b"") + segment(0xEE, b""),
}


@pytest.mark.parametrize("name", JPEG_REMARKS)
def test_a_jpeg_is_read_whatever_it_says_about_itself(name: str) -> None:
    plain = encoded(Image.fromarray(COLOURS), "JPEG", quality=95)
    np.testing.assert_array_equal(decoded(plain[:2] + JPEG_REMARKS[name] + plain[2:]), decoded(plain))


@pytest.mark.parametrize("exif", [BROKEN_EXIF, b"", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"\xff" * 2_000])
def test_a_webp_is_read_whatever_it_says_about_itself(exif: bytes) -> None:
    plain = encoded(Image.fromarray(COLOURS), "WEBP", lossless=True)
    extended = riff(
        (b"VP8X", b"\x2c\0\0\0" + (15).to_bytes(3, "little") * 2),
        (b"ICCP", b"nothing"),
        (plain[12:16], plain[20 : 20 + int.from_bytes(plain[16:20], "little")]),
        (b"EXIF", exif),
        (b"XMP ", b"<"),
    )
    np.testing.assert_array_equal(decoded(extended), COLOURS)


def test_a_tiff_with_a_broken_tag_that_decides_no_pixel_is_read() -> None:
    tags = Image.Exif()
    for tag, value in ((0x010E, "x" * 5_000), (0x0131, "\udc80".encode(errors="replace").decode())):
        tags[tag] = value
    data = encoded(Image.fromarray(COLOURS), "TIFF", exif=tags, icc_profile=b"nothing")
    np.testing.assert_array_equal(decoded(data), COLOURS)


@pytest.mark.parametrize("pointer", [0, 8, 60, 0x7FFFFFFF, 0xFFFFFFFF])
def test_the_exif_of_a_tiff_may_point_anywhere(pointer: int) -> None:
    shades = COLOURS[..., 0]
    data = tiff(16, 16, (0x8769, pointer), (0x8825, pointer), body=zlib.compress(shades.tobytes()))
    np.testing.assert_array_equal(decoded(data)[..., 0], shades)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<!DOCTYPE html><title>404", "HTML"),
        (b"8BPS\0\1", "PSD"),
        (b"\xff\x0a\xfa", "JPEG XL"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "MP4"),
        (b"\0\0\1\0\1\0", "icon"),
        (b"%!PS-Adobe-3.0", "PostScript"),
        (b"PK\3\4", "ZIP"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"MM\0\x2b\0\x08\0\0", "BigTIFF"),
        (bytes(128) + b"DICM", "DICOM"),
    ],
)
def test_a_known_format_that_is_not_read_is_named(data: bytes, name: str) -> None:
    with pytest.raises(InputError, match=name) as caught:
        decoded(data)
    assert caught.value.reason == "IMAGE_FORMAT_UNSUPPORTED"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "AVIF"])
def test_a_damaged_picture_is_no_unknown_one_and_its_format_is_named(format: str) -> None:
    data = encoded(Image.fromarray(COLOURS), format)
    with pytest.raises(InputError, match=format) as caught:
        decoded(data[:20] + bytes(len(data)))
    assert caught.value.reason in ("IMAGE_DAMAGED", "IMAGE_TRUNCATED", "IMAGE_FORMAT_UNSUPPORTED", "IMAGE_TOO_LARGE")


@pytest.mark.parametrize("data", [b"no picture", b"\0" * 99, b"GIF", b"\x89PNG"])
def test_an_unknown_format_is_reported(data: bytes) -> None:
    with pytest.raises(InputError, match="not recognised") as caught:
        decoded(data)
    assert caught.value.reason == "IMAGE_FORMAT_UNKNOWN"


def test_heic_is_read_with_its_extra() -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(Image.new("RGB", (64, 64), (200, 30, 30))).save(file, quality=90)
    assert is_read("HEIF")
    assert np.abs(decoded(file.getvalue())[8, 8].astype(int) - (200, 30, 30)).max() < 6


def test_heic_without_its_extra_is_named_with_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from glimpse.backbone import ImageRule, InputError, decode_image\n"
        "try: decode_image(b'\\0\\0\\0\\x18ftypheic' + bytes(99), ImageRule(size=16))\n"
        "except InputError as error: print(error.reason, error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("IMAGE_FORMAT_UNSUPPORTED the format HEIF is not supported")
    assert "[heif]" in out


def test_decoding_needs_no_onnx_runtime() -> None:
    code = (
        "import sys, glimpse.backbone.images.decode_worker as _\n"
        "sys.exit(' '.join({'onnxruntime', 'tokenizers', 'onnx'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_picture_called_by_another_formats_name_is_read() -> None:
    assert decoded(picture("red", format="WEBP"))[5, 5, 0] > 200
