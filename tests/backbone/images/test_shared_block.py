"""The memory that the server shares with a decoding process."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import DecoderPool, ImageLimits, ImageRule, decode_image
from glimpse.backbone.images.shared_block import SHARED_BYTES, SharedBlock, new_block
from support.pictures import encoded


def test_both_ends_see_what_fits() -> None:
    with new_block() as descriptor:
        ours, theirs = SharedBlock(descriptor), SharedBlock(descriptor)
    assert ours.write(b"a picture")
    assert theirs.read(9) == b"a picture"
    assert not theirs.write(bytes(SHARED_BYTES + 1))
    assert ours.read(9) == b"a picture"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux seals files in memory")
def test_the_other_process_cannot_make_the_block_shorter() -> None:
    with new_block() as descriptor:
        for size in (0, SHARED_BYTES + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, size)


@pytest.mark.parametrize(("side", "target"), [(700, 32), (700, 600), (40, 600), (40, 32)])
def test_pictures_and_pixels_of_any_size_arrive(side: int, target: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    picture = encoded(Image.fromarray(pixels), "BMP")
    assert (len(picture) > SHARED_BYTES) == (side == 700)
    rule = ImageRule(size=target, resize="squash", interpolation="bilinear")
    pool = DecoderPool(1, ImageLimits())
    try:
        for _ in range(2):
            np.testing.assert_array_equal(pool.decode(picture, rule), decode_image(picture, rule))
    finally:
        pool.close()
