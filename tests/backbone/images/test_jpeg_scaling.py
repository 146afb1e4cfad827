"""JPEGs decoded at a reduced scale: only if enough pixels remain, and with a small difference."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

import glimpse.backbone.images.preprocess as preprocess
from glimpse.backbone import Encoder, ImageLimits, ImageRule, InputError, decode_image, scaled_decode_cosine
from glimpse.backbone.images.rgb import DeepPixels, flatten
from support.bundles import tiny_image_bundle
from support.pictures import encoded

EXACT = ImageRule(size=32, resize="squash", interpolation="bilinear")
SCALED = EXACT.model_copy(update={"scaled_decode": True})
CROPPED = ImageRule(size=24, resize="shortest", resize_to=32, scaled_decode=True)


def scene(width: int, height: int) -> Image.Image:
    """Returns a picture of smooth colours with edges."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def decoded_size(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, ImageRule], tuple[int, int]]:
    """Returns a function that reports the size of the picture that the decoder returned."""

    def size_of(data: bytes, rule: ImageRule) -> tuple[int, int]:
        sizes: list[tuple[int, int]] = []

        def spy(image: Image.Image, deep: DeepPixels) -> Image.Image:
            sizes.append(image.size)
            return flatten(image, deep)

        monkeypatch.setattr(preprocess, "flatten", spy)
        decode_image(data, rule)
        return sizes[0]

    return size_of


@pytest.mark.parametrize(
    ("size", "rule", "wanted"),
    [
        ((640, 480), SCALED, (80 * 2, 60 * 2)),  # 1/4 leaves 120 of the 64 needed, 1/8 only 60
        ((127, 400), SCALED, (127, 400)),  # 1/2 leaves exactly 64 of 128 rows, but only 63.5 of 127
        ((128, 128), SCALED, (64, 64)),
        ((64, 64), SCALED, (64, 64)),
        ((2000, 1000), SCALED, (250, 125)),  # 1/8 is the smallest scale
        ((640, 480), CROPPED, (160, 120)),  # the whole picture is resized before it is cropped
        ((640, 480), EXACT, (640, 480)),
    ],
)
def test_scaling_leaves_twice_the_pixels_of_the_resize(
    decoded_size: Callable[[bytes, ImageRule], tuple[int, int]],
    size: tuple[int, int],
    rule: ImageRule,
    wanted: tuple[int, int],
) -> None:
    assert decoded_size(encoded(scene(*size), "JPEG"), rule) == wanted


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}], ids=str)
def test_little_changes(mode: str, options: dict[str, int]) -> None:
    photo = encoded(scene(700, 500).convert(mode), "JPEG", **options)
    exact, scaled = (decode_image(photo, rule).astype(int) for rule in (EXACT, SCALED))
    assert 0 < np.abs(exact - scaled).max() <= 16


def test_a_turned_photograph_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(scene(700, 500), "JPEG", exif=exif)
    exact, scaled = (decode_image(photo, rule).astype(int) for rule in (EXACT, SCALED))
    assert np.abs(exact - scaled).mean() < 2


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_decoded_whole(format: str) -> None:
    photo = encoded(scene(700, 500), format)
    np.testing.assert_array_equal(decode_image(photo, SCALED), decode_image(photo, EXACT))


def test_the_limits_are_those_of_the_whole_picture() -> None:
    with pytest.raises(InputError, match="700 x 500"):
        decode_image(encoded(scene(700, 500), "JPEG"), SCALED, ImageLimits(side=600))


def test_a_cut_off_photograph_is_refused_as_ever() -> None:
    with pytest.raises(InputError) as caught:
        decode_image(encoded(scene(700, 500), "JPEG")[:3000], SCALED)
    assert caught.value.reason == "IMAGE_TRUNCATED"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder(tiny_image_bundle(tmp_path_factory.mktemp("bundles") / "tiny", size=32), threads=1)


def test_the_smallest_cosine_is_returned(encoder: Encoder) -> None:
    photos = [encoded(scene(size, 300), "JPEG") for size in range(300, 640, 20)]
    found = scaled_decode_cosine(encoder, EXACT, photos)
    pairs = [[encoder.encode_images(decode_image(one, rule)[None])[0] for rule in (EXACT, SCALED)] for one in photos]
    assert found is not None
    assert found == pytest.approx(min(float(exact @ scaled) for exact, scaled in pairs), abs=1e-6)
    assert found < 1


def test_without_scaled_photographs_nothing_is_returned(encoder: Encoder) -> None:
    small, drawing = encoded(scene(60, 60), "JPEG"), encoded(scene(600, 600), "PNG")
    assert scaled_decode_cosine(encoder, EXACT, [small, drawing]) is None
