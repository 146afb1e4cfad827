"""A region of a picture gives the same pixels and vector as the picture that was cropped to it before."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from glimpse.backbone import (
    Crop,
    DecoderPool,
    Encoder,
    ImageLimits,
    ImageRule,
    InputError,
    LargeImage,
    Region,
    bundled,
    decode_image,
    decode_regions,
    load_bundle,
)
from glimpse.backbone.images.decode_cost import DecodeCost
from glimpse.backbone.images.regions import crop_image
from support.pictures import encoded, picture

SQUASH = ImageRule(size=16, resize="squash", interpolation="bilinear")
SHORTEST = ImageRule(size=32, resize="shortest", resize_to=36, scaled_decode=True)
REGION = Region(0.25, 0.1, 0.5, 0.3)
ORIENTATION = 0x0112


def noise(width: int, height: int, channels: int = 3) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, channels), np.uint8))


def cropped(data: bytes, region: Region = REGION) -> Image.Image:
    """Crops a picture as a viewer shows it: upright, over white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    over = Image.new("RGBA", image.size, "white")
    over.alpha_composite(image)
    width, height = over.size
    x, y, right, lower = region.x, region.y, region.x + region.width, region.y + region.height
    return over.convert("RGB").crop((round(x * width), round(y * height), round(right * width), round(lower * height)))


def turned(orientation: int, **save: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(noise(120, 70), "JPEG", exif=exif, **save)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(noise(90, 41)), id="png"),
        pytest.param(encoded(noise(90, 41, 4)), id="png with alpha"),
        pytest.param(encoded(noise(90, 41, 4), "WEBP", lossless=True), id="webp with alpha"),
        *(pytest.param(turned(orientation), id=f"jpeg turned {orientation}") for orientation in range(1, 9)),
        pytest.param(encoded(noise(1_600, 1_200), "JPEG", progressive=True), id="large jpeg"),
    ],
)
@pytest.mark.parametrize("rule", [SQUASH, SHORTEST])
def test_a_region_gives_the_pixels_of_the_cropped_picture(data: bytes, rule: ImageRule) -> None:
    regions = [REGION, Region(0, 0, 1, 1), Region(0.5, 0.5, 0.5, 0.5)]
    found = decode_regions(data, rule, regions)
    assert found.shape == (3, rule.size, rule.size, 3)
    for region, pixels in zip(regions, found, strict=True):
        np.testing.assert_array_equal(pixels, decode_image(encoded(cropped(data, region)), rule))


def test_a_crop_is_a_png_of_the_same_pixels_and_nothing_else() -> None:
    data = turned(6, comment=b"a secret")
    crop = crop_image(data, REGION)
    assert crop.startswith(b"\x89PNG")
    assert b"secret" not in crop
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(crop))), np.asarray(cropped(data)))


@pytest.mark.parametrize(
    "region", [Region(0.5, 0.5, 0.01, 0.5), Region(0.5, 0.5, 0.5, 0.01), Region(0.99, 0, 0.005, 1)]
)
def test_a_region_without_a_pixel_is_refused(region: Region) -> None:
    with pytest.raises(InputError, match="has no pixel of this image of 20 x 20") as error:
        decode_regions(picture(), SQUASH, [REGION, region])
    assert error.value.reason == "REGION_EMPTY"


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 50), st.integers(1, 50), st.data())
def test_the_box_of_whole_pixels_is_that_box(width: int, height: int, data: st.DataObject) -> None:
    left, upper = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, lower = data.draw(st.integers(left + 1, width)), data.draw(st.integers(upper + 1, height))
    region = Region(left / width, upper / height, (right - left) / width, (lower - upper) / height)
    assert region.box((width, height)) == (left, upper, right, lower)


def test_a_pool_decodes_a_picture_once_for_its_regions() -> None:
    regions = [Region(0, 0, 0.5, 1), Region(0.5, 0, 0.5, 1)]
    with_many = [REGION] * 40  # their pixels do not fit into the shared block
    data, large = encoded(noise(400, 300), "JPEG"), ImageRule(size=128)
    pool = DecoderPool(1, ImageLimits())
    try:
        np.testing.assert_array_equal(
            pool.decode_small(data, SHORTEST, regions), decode_regions(data, SHORTEST, regions)
        )
        assert pool.decode_small(data, large, with_many).shape == (40, 128, 128, 3)
        np.testing.assert_array_equal(pool.decode(data, SQUASH), decode_image(data, SQUASH))
        assert pool.decode_small(data, Crop(), [REGION]).tobytes() == crop_image(data, REGION)
        with pytest.raises(LargeImage) as large_image:
            pool.decode_small(encoded(Image.new("RGB", (4_000, 3_000))), Crop(), [Region(0, 0, 1, 1)])
        crop = pool.decode_large(
            encoded(Image.new("RGB", (4_000, 3_000))), Crop(), large_image.value, [Region(0, 0, 1, 1)]
        )
        assert Image.open(io.BytesIO(crop.tobytes())).size == (4_000, 3_000)
    finally:
        pool.close()


def test_regions_are_charged_for_their_copies_and_their_time() -> None:
    costs: list[DecodeCost] = []
    data = encoded(noise(1_000, 1_000), "JPEG")
    for regions in ([REGION], [Region(0, 0, 1, 1)], [Region(0, 0, 1, 1)] * 16):
        decode_regions(data, SQUASH, regions, None, costs.append)
    assert costs[0].memory_bytes < costs[1].memory_bytes < costs[2].memory_bytes
    assert costs[1].memory_bytes > 1_000_000 * 12
    assert costs[2].seconds > costs[1].seconds + 3


def vector(encoder: Encoder, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    found = encoder.encode_images(pixels[None])[0]
    return np.asarray(found / np.linalg.norm(found))


def test_the_vector_of_a_region_is_that_of_the_cropped_photograph(evaluation_data: Path) -> None:
    bundle = load_bundle(bundled())
    encoder, rule = Encoder(bundle, threads=1), bundle.manifest.image
    assert rule is not None
    for photo in sorted((evaluation_data / "caltech101").glob("*/*.jpg"))[::400]:
        data = photo.read_bytes()
        [pixels] = decode_regions(data, rule, [REGION])
        whole = decode_image(encoded(cropped(data)), rule)
        assert vector(encoder, pixels) @ vector(encoder, whole) > 1 - 1e-6
