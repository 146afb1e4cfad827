"""Calls with a dozen damaged pictures each: every picture is embedded, or refused alone with a reason."""

from pathlib import Path

import pytest

from glimpse.backbone import ImageLimits, ImageRule, InputError, decode_image
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.contract import rpcs
from support.corrupt_images import damage, originals
from support.fuzz_server import Fuzzed

_AT_ONCE = 20


@pytest.mark.timeout(3_600)
def test_damaged_pictures_fail_alone(fuzzed: Fuzzed, inputs: int, real: Path | None) -> None:
    embed = next(rpc for rpc in rpcs() if rpc.path.endswith("/Embed"))
    pictures = originals(real)
    for start in range(0, inputs, _AT_ONCE):
        damaged = [damage(pictures[seed % len(pictures)], seed) for seed in range(start, start + _AT_ONCE)]
        sent = [types_pb2.Input(image=one) for one in damaged]
        fuzzed.oracle.unary(embed, emb.EmbedRequest(backbone="backbones/tiny", inputs=sent).SerializeToString())
        fuzzed.count(_AT_ONCE)
    fuzzed.check()


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("scaled", [False, True])
def test_a_damaged_picture_is_decoded_or_refused(inputs: int, scaled: bool, real: Path | None) -> None:
    pictures, rule = originals(real), ImageRule(size=32, scaled_decode=scaled)
    decoded, reasons = 0, set[str]()
    for seed in range(inputs):
        try:
            pixels = decode_image(damage(pictures[seed % len(pictures)], seed), rule, ImageLimits(2_000, 2_000_000))
            assert pixels.shape == (32, 32, 3)
            decoded += 1
        except InputError as error:
            reasons.add(error.reason)
    assert 0 < decoded < inputs
    assert all(reason.startswith("IMAGE_") for reason in reasons)
