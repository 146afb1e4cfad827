"""Every format, mode, depth and layout against its expected pixels: decoded correctly, or refused with a reason."""

import io
import struct
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features

from glimpse.backbone import ImageRule, InputError, decode_image
from support.hostile_images import tiff as tiff_of
from support.pictures import encoded
from support.raw_images import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, Array, bmp, png

SIDE = 48
RULE = ImageRule(size=SIDE)
_rng = np.random.default_rng(0)
_y, _x = np.mgrid[:SIDE, :SIDE]
COLOURS = (np.stack([_x * 5, _y * 5, (_x + _y) * 2], -1) % 256).astype(np.uint8)
COLOURS[10:20, 10:30] = _rng.integers(0, 256, (10, 20, 3))
COLOURS[30:36, 30:36] = 255
SHADES = COLOURS[..., 0].copy()
ALPHA = ((_x * 2 + 60) % 256).astype(np.uint8)
BIT = (SHADES > 127).astype(np.uint8)
MAP = _rng.integers(0, 256, (256, 3)).astype(np.uint8)
DEEP = COLOURS.astype(np.uint16) * 257
#: A file and its expected pixels, or None if it must be refused.
Case = tuple[bytes, Any]


def white_behind(values: Array, alpha: Array) -> Array:
    """Returns values with transparency over white."""
    alpha = alpha[..., None] if values.ndim == 3 else alpha
    return np.asarray(values * (alpha / 255) + 255 - alpha)


def few(bits: int) -> tuple[Array, Array]:
    """Returns shades of a few bits, and the same as 8 bits."""
    values = SHADES >> (8 - bits)
    return values, np.asarray(values * (255.0 / (2**bits - 1)))


def pngs() -> dict[str, Case]:
    cases: dict[str, Case] = {
        "grey 8": (png(SHADES, GREY), SHADES),
        "grey 8, one value transparent": (
            png(SHADES, GREY, transparent=struct.pack(">H", 25)),
            np.where(SHADES == 25, 255, SHADES),
        ),
        "grey 16": (png(DEEP[..., 0], GREY, 16), SHADES),
        "grey 16, one value transparent": (
            png(DEEP[..., 0], GREY, 16, transparent=struct.pack(">H", 25 * 257)),
            np.where(SHADES == 25, 255, SHADES),
        ),
        "grey 16 interlaced": (png(DEEP[..., 0], GREY, 16, interlaced=True), SHADES),
        "rgb": (png(COLOURS, RGB), COLOURS),
        "rgb interlaced": (png(COLOURS, RGB, interlaced=True), COLOURS),
        "rgb 16": (png(DEEP, RGB, 16), COLOURS),
        "grey with alpha": (png(np.dstack([SHADES, ALPHA]), GREY_ALPHA), white_behind(SHADES, ALPHA)),
        "grey with alpha 16": (
            png(np.dstack([SHADES, ALPHA]).astype(np.uint16) * 257, GREY_ALPHA, 16),
            white_behind(SHADES, ALPHA),
        ),
        "rgb with alpha": (png(np.dstack([COLOURS, ALPHA]), RGB_ALPHA), white_behind(COLOURS, ALPHA)),
        "rgb with alpha 16": (
            png(np.dstack([COLOURS, ALPHA]).astype(np.uint16) * 257, RGB_ALPHA, 16),
            white_behind(COLOURS, ALPHA),
        ),
    }
    same = (COLOURS[5, 5] == COLOURS).all(-1, keepdims=True)
    for bits, scale in ((8, 1), (16, 257)):
        transparent = struct.pack(">3H", *(int(value) * scale for value in COLOURS[5, 5]))
        file = png(COLOURS.astype(np.uint16) * scale, RGB, bits, transparent=transparent)
        cases[f"rgb {bits}, one colour transparent"] = (file, np.where(same, 255, COLOURS))
    for bits in (1, 2, 4, 8):
        values, wanted = few(bits)
        colours, alpha = MAP[: 2**bits], MAP[: 2**bits, 0]
        shown = white_behind(colours[values], alpha[values])
        cases |= {
            f"grey {bits}": (png(values, GREY, bits), wanted),
            f"palette {bits}": (png(values, PALETTE, bits, palette=colours.tobytes()), colours[values]),
            f"palette {bits} with alpha": (
                png(values, PALETTE, bits, palette=colours.tobytes(), transparent=alpha.tobytes()),
                shown,
            ),
        }
    frames = [Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)]
    cases["animated"] = (encoded(frames[0], "PNG", save_all=True, append_images=frames[1:]), COLOURS)
    return cases


def bmps() -> dict[str, Case]:
    size, upside_down = (SIDE, SIDE), COLOURS[::-1, :, ::-1]
    with_alpha = np.dstack([upside_down, ALPHA[::-1]]).tobytes()
    red_to_blue = (0xFF0000, 0xFF00, 0xFF)
    five = (COLOURS >> 3).astype(np.uint16)
    words = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2])[::-1].astype("<u2").tobytes()
    fours, bits = SHADES >> 4, np.pad(np.packbits(BIT, axis=1), ((0, 0), (0, 2)))
    pairs = (fours[:, ::2] << 4 | fours[:, 1::2])[::-1]
    end = b"\0\1"
    runs = b"".join(b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in SHADES[::-1].tolist()) + end
    plain = b"".join(
        b"".join(b"\0\x0c" + bytes(row[i : i + 12]) for i in range(0, SIDE, 12)) + b"\0\0"
        for row in SHADES[::-1].tolist()
    )
    runs_4 = b"".join(b"".join(bytes([2, value]) for value in row) + b"\0\0" for row in pairs.tolist()) + end
    masked = {"compression": 3, "header": 108, "masks": (*red_to_blue, 0xFF000000)}
    return {
        "24 bits": (bmp(upside_down.tobytes(), size, 24), COLOURS),
        "from the top": (bmp(COLOURS[..., ::-1].tobytes(), (SIDE, -SIDE), 24), COLOURS),
        "32 bits": (bmp(with_alpha, size, 32), COLOURS),
        "32 bits with masks": (bmp(with_alpha, size, 32, 3, masks=red_to_blue), COLOURS),
        "32 bits with alpha": (bmp(with_alpha, size, 32, **masked), white_behind(COLOURS, ALPHA)),  # type: ignore[arg-type]
        "16 bits": (bmp(words, size, 16), five * (255 / 31)),
        "8 bits": (bmp(SHADES[::-1].tobytes(), size, 8, palette=MAP), MAP[SHADES]),
        "8 bits in runs": (bmp(runs, size, 8, 1, palette=MAP), MAP[SHADES]),
        "8 bits in runs of 0": (bmp(plain + end, size, 8, 1, palette=MAP), MAP[SHADES]),
        "4 bits": (bmp(pairs.tobytes(), size, 4, palette=MAP[:16]), MAP[fours]),
        "4 bits in runs": (bmp(runs_4, size, 4, 2, palette=MAP[:16]), MAP[fours]),
        "1 bit": (bmp(bits[::-1].tobytes(), size, 1, palette=MAP[:2]), MAP[BIT]),
        "jpeg within": (bmp(encoded(Image.fromarray(COLOURS), "JPEG"), size, 0, 4), None),
    }


def pnms() -> dict[str, Case]:
    def text(values: Array) -> bytes:
        return b" ".join(b"%d" % value for value in values.ravel())

    return {
        "P1": (b"P1 48 48\n" + text(BIT), (1 - BIT) * 255),
        "P2": (b"P2 48 48 255\n" + text(SHADES), SHADES),
        "P2 of 16 bits": (b"P2 48 48 65535\n" + text(DEEP[..., 0]), SHADES),
        "P3": (b"P3\n# remark\n48 48 255\n" + text(COLOURS), COLOURS),
        "P4": (b"P4 48 48\n" + np.packbits(BIT, axis=1).tobytes(), (1 - BIT) * 255),
        "P5": (b"P5 48 48 255\n" + SHADES.tobytes(), SHADES),
        "P5 of 10 bits": (b"P5 48 48 1023\n" + (DEEP[..., 0] >> 6).astype(">u2").tobytes(), SHADES),
        "P5 of 16 bits": (b"P5 48 48 65535\n" + DEEP[..., 0].astype(">u2").tobytes(), SHADES),
        "P6": (b"P6 48 48 255\n" + COLOURS.tobytes(), COLOURS),
        "P6 of 4 bits": (b"P6 48 48 15\n" + (COLOURS >> 4).tobytes(), (COLOURS >> 4) * 17),
        "P6 of 16 bits": (b"P6 48 48 65535\n" + DEEP.astype(">u2").tobytes(), COLOURS),
        "Pf": (b"Pf 48 48 -1.0\n" + (SHADES[::-1] / 255).astype("<f4").tobytes(), SHADES),
        "Pf, big-endian": (b"Pf 48 48 1.0\n" + (SHADES[::-1] / 255).astype(">f4").tobytes(), SHADES),
        "PF": (b"PF 48 48 -1.0\n" + bytes(12 * SIDE * SIDE), None),
        "P7": (b"P7\nWIDTH 48\nHEIGHT 48\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + SHADES.tobytes(), None),
    }


def compressed() -> dict[str, Case]:
    smooth = Image.fromarray(COLOURS).resize((6, 6)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    picture, pixels = Image.fromarray(COLOURS), np.asarray(smooth)
    grey = smooth.convert("L")
    clear = Image.fromarray(np.dstack([COLOURS, ALPHA]))
    few_colours = picture.quantize(32)
    hidden = np.asarray(few_colours.convert("RGB")).copy()
    hidden[np.asarray(few_colours) == 3] = 255
    deep = encoded(picture, "JPEG2000", no_jp2=True)
    sample = deep.index(b"\xff\x51") + 40
    return {
        **{
            f"jpeg {name}": (encoded(image, "JPEG", quality=95, **options), pixels)
            for name, image, options in (
                ("4:4:4", smooth, {"subsampling": 0}),
                ("4:2:0", smooth, {"subsampling": 2}),
                ("progressive", smooth, {"progressive": True}),
                ("rgb", smooth, {"keep_rgb": True}),
                ("cmyk, inverted as Adobe does", smooth.convert("CMYK"), {}),
                ("restarts", smooth, {"restart_marker_rows": 1}),
            )
        },
        "jpeg grey": (encoded(grey, "JPEG", quality=95), np.asarray(grey)),
        "mpo": (encoded(smooth, "MPO", save_all=True, append_images=[picture], quality=95), pixels),
        **{
            f"tiff with {name} jpeg": (tiff_of(SIDE, SIDE, (259, 7), (278, SIDE), body=file), np.asarray(grey))
            for name, file in (
                ("baseline", encoded(grey, "JPEG", quality=95)),
                ("progressive", encoded(grey, "JPEG", quality=95, progressive=True)),
            )
        },
        "tiff of rgb in jpeg": (encoded(smooth, "TIFF", compression="jpeg", quality=95), pixels),
        "tiff of cmyk in jpeg": (encoded(smooth.convert("CMYK"), "TIFF", compression="jpeg", quality=95), pixels),
        "tiff in old jpeg": (tiff_of(SIDE, SIDE, (259, 6), body=b"\xff\xd8"), None),
        "tiff in webp": (tiff_of(SIDE, SIDE, (259, 50001), body=encoded(picture, "WEBP")), None),
        "webp": (encoded(picture, "WEBP", lossless=True), COLOURS),
        "webp with alpha": (encoded(clear, "WEBP", lossless=True, exact=True), white_behind(COLOURS, ALPHA)),
        "webp animated": (
            encoded(picture, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", picture.size)]),
            COLOURS,
        ),
        "gif": (encoded(few_colours, "GIF"), np.asarray(few_colours.convert("RGB"))),
        "gif, one colour transparent": (encoded(few_colours, "GIF", transparency=3), hidden),
        "jpeg2000": (encoded(picture, "JPEG2000"), COLOURS),
        "jpeg2000, bare": (encoded(picture, "JPEG2000", no_jp2=True), COLOURS),
        "jpeg2000 in tiles": (encoded(picture, "JPEG2000", tile_size=(16, 16)), COLOURS),
        "jpeg2000 with alpha": (encoded(clear, "JPEG2000"), white_behind(COLOURS, ALPHA)),
        "jpeg2000 grey": (encoded(Image.fromarray(SHADES), "JPEG2000"), SHADES),
        "jpeg2000 grey 16": (encoded(Image.fromarray(DEEP[..., 0]), "JPEG2000"), SHADES),
        "jpeg2000 in layers": (encoded(smooth, "JPEG2000", irreversible=True, quality_layers=[80, 20, 1]), pixels),
        "jpeg2000 rgb 16": (deep[:sample] + b"\x0f" + deep[sample + 1 :], None),
        "jpeg2000 signed": (deep[:sample] + b"\x87" + deep[sample + 1 :], None),
        **avifs(smooth, clear),
    }


def avifs(smooth: Image.Image, clear: Image.Image) -> dict[str, Case]:
    if not features.check("avif"):
        return {}
    soft = smooth.convert("RGBA")
    soft.putalpha(clear.getchannel(3))
    return {
        "avif": (encoded(smooth, "AVIF", quality=95), np.asarray(smooth)),
        "avif with alpha": (encoded(soft, "AVIF", quality=95), white_behind(np.asarray(smooth), ALPHA)),
    }


def tiff(values: Array, order: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(values), byteorder=order, metadata=None, **options)
    return file.getvalue()


def tiff_kinds() -> dict[str, tuple[Array, str, Any, dict[str, Any]]]:
    """Yields samples, photometric interpretation, expected pixels and further options."""
    ink = np.dstack([255 - COLOURS, np.zeros_like(SHADES)])
    multiplied = np.round(COLOURS * (ALPHA[..., None] / 255)).astype(np.uint8)
    shades_multiplied = np.round(SHADES * (ALPHA / 255)).astype(np.uint8)
    over, shades_over = white_behind(COLOURS, ALPHA), white_behind(SHADES, ALPHA)
    luma = np.asarray(Image.fromarray(COLOURS).convert("YCbCr"))
    unassociated, associated, other = ({"extrasamples": [kind]} for kind in ("unassalpha", "assocalpha", "unspecified"))
    grey = "minisblack"
    return {
        "bit": (BIT.astype(bool), grey, BIT * 255, {}),
        "bit, 0 is white": (BIT.astype(bool), "miniswhite", (1 - BIT) * 255, {}),
        "grey": (SHADES, grey, SHADES, {}),
        "grey, 0 is white": (SHADES, "miniswhite", 255 - SHADES, {}),
        "grey with alpha": (np.dstack([SHADES, ALPHA]), grey, shades_over, unassociated),
        "grey times alpha": (
            np.dstack([shades_multiplied, ALPHA]),
            grey,
            shades_multiplied + (255.0 - ALPHA),
            associated,
        ),
        "grey and another": (np.dstack([SHADES, ALPHA]), grey, SHADES, other),
        "signed 8": ((SHADES >> 1).astype(np.int8), grey, None, {}),
        "signed 16": (SHADES.astype(np.int16) * 128, grey, None, {}),
        "unsigned 32, used as 16": (SHADES.astype(np.uint32) * 257, grey, SHADES, {}),
        "unsigned 32": (SHADES.astype(np.uint32) * 0x01010101, grey, SHADES, {}),
        "signed 32": (SHADES.astype(np.int32) * 257, grey, SHADES, {}),
        "float": ((SHADES / 255).astype(np.float32), grey, SHADES, {}),
        "float to 255": (SHADES.astype(np.float32), grey, SHADES, {}),
        "float, 0 is white": ((SHADES / 255).astype(np.float32), "miniswhite", 255 - SHADES, {}),
        "half": ((SHADES / 255).astype(np.float16), grey, None, {}),
        "double": ((SHADES / 255).astype(np.float64), grey, None, {}),
        "float rgb": ((COLOURS / 255).astype(np.float32), "rgb", None, {}),
        "palette": (SHADES, "palette", MAP[SHADES], {"colormap": MAP.T.astype(np.uint16) * 257}),
        "rgb": (COLOURS, "rgb", COLOURS, {}),
        "rgb and another": (np.dstack([COLOURS, ALPHA]), "rgb", COLOURS, other),
        "rgb with alpha": (np.dstack([COLOURS, ALPHA]), "rgb", over, unassociated),
        "rgb times alpha": (np.dstack([multiplied, ALPHA]), "rgb", multiplied + (255.0 - ALPHA[..., None]), associated),
        "cmyk": (ink, "separated", COLOURS, {}),
        "ycbcr": (luma, "ycbcr", COLOURS, {"subsampling": (1, 1)}),
        "rgb in BigTIFF": (COLOURS, "rgb", COLOURS, {"bigtiff": True}),
    }


LAYOUTS = {
    "in strips": {"rowsperstrip": 13},
    "in tiles": {"tile": (16, 32)},
    "in strips, deflated": {"rowsperstrip": 13, "compression": "zlib"},
    "in tiles, deflated and predicted": {"tile": (16, 32), "compression": "zlib", "predictor": True},
}
_WIDER = (np.uint8, np.uint16)


def tiffs() -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for (name, (values, photometric, wanted, options)), (layout, how), order in product(
        tiff_kinds().items(), LAYOUTS.items(), "<>"
    ):
        if "predictor" in how and (values.dtype == bool or photometric == "ycbcr"):
            continue
        for depth in _WIDER if values.dtype == np.uint8 and name not in ("palette", "ycbcr") else (None,):
            deep = values if depth in (None, np.uint8) else values.astype(np.uint16) * 257
            for planar in ("contig", "separate") if values.ndim == 3 and photometric in ("rgb", "separated") else ("",):
                ordered = np.moveaxis(deep, -1, 0) if planar == "separate" else deep
                more = {"planarconfig": planar} if planar else {}
                file = tiff(ordered, order, photometric=photometric, **options, **how, **more)
                cases[f"{name} {np.dtype(deep.dtype).name} {order} {layout} {planar}"] = (file, wanted)
    return cases


# Decoded in one byte order and refused in the other, or refused in both.
REFUSED_TIFFS = {
    *("double float64", "half float16", "float rgb float32", "signed 8 int8", "signed 16 int16"),
    *("unsigned 32 uint32", "unsigned 32, used as 16 uint32", "grey, 0 is white uint16"),
    *("grey and another uint16", "grey times alpha uint16", "grey with alpha uint16"),
    *("rgb in BigTIFF uint8", "rgb in BigTIFF uint16"),
}


def _cases(*groups: Callable[[], dict[str, Case]]) -> list[Any]:
    return [
        pytest.param(file, wanted, id=f"{group.__name__}: {name}")
        for group in groups
        for name, (file, wanted) in group().items()
    ]


def off_by(file: bytes, wanted: Array) -> tuple[float, float]:
    """Returns the mean and the largest difference, on the scale of 0 to 255."""
    wanted = np.asarray(wanted, float)
    wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, -1)
    difference = np.abs(decode_image(file, RULE).astype(float) - wanted)
    return float(difference.mean()), float(difference.max())


@pytest.mark.parametrize(("file", "wanted"), _cases(pngs, bmps, pnms, compressed))
def test_a_kind_is_right_or_refused(file: bytes, wanted: Any) -> None:
    if wanted is None:
        with pytest.raises(InputError) as caught:
            decode_image(file, RULE)
        assert caught.value.reason == "IMAGE_FORMAT_UNSUPPORTED"
    else:
        mean, most = off_by(file, wanted)
        assert mean < 2.5, (mean, most)
        assert most < 40, (mean, most)


def test_every_layout_of_a_tiff_is_right_or_refused() -> None:
    wrong, refused, right = [], set[str](), 0
    for name, (file, wanted) in tiffs().items():
        try:
            mean, most = off_by(file, np.zeros((SIDE, SIDE)) if wanted is None else wanted)
        except InputError as error:
            if error.reason != "IMAGE_FORMAT_UNSUPPORTED":
                wrong.append((name, error.reason, str(error)))
            refused.add(" ".join(name.split(" <")[0].split(" >")[0].split()))
            continue
        right += 1
        if wanted is None or mean > 1.01 or most > 60:
            wrong.append((name, f"{mean:.1f}", f"{most:.0f}"))
    assert not wrong, wrong
    assert refused == REFUSED_TIFFS
    assert right > 200
