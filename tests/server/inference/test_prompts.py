"""Prompts are embedded once for all calls."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from glimpse.backbone import load_bundle
from glimpse.server.classification.zero_shot import classify_zero_shot
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.decoders import Decoders
from glimpse.server.inference.device import DeviceWatch
from glimpse.server.inference.embedding_spaces import source_of_backbone
from glimpse.server.inference.prompt_cache import PromptCache
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.server.settings import load_settings
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1.types_pb2 import Input
from support.pictures import picture


class Counted:
    """A backbone, and the number of texts that it encoded."""

    def __init__(self, backbone: LoadedBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backbone = backbone
        self.texts = 0
        self.fails = False
        encode = backbone.encoder.encode_texts

        def count(ids: np.ndarray, mask: np.ndarray, *, single_core: bool) -> np.ndarray:
            if self.fails:
                raise RuntimeError("the device is gone")
            self.texts += len(ids)
            return encode(ids, mask, single_core=single_core)

        monkeypatch.setattr(backbone.encoder, "encode_texts", count)


@pytest.fixture
async def counted(bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counted]:
    with Decoders(load_settings(decode_threads=1)) as decoders:
        backbone = LoadedBackbone(load_bundle(bundles[0]), load_settings(encode_threads=1), decoders, DeviceWatch())
        yield Counted(backbone, monkeypatch)
        await backbone.close()


async def label(counted: Counted, *prompts: str, templates: bool = False) -> cls.Classification:
    """ClassifyZeroShot's answer to a picture, which needs no text."""
    labels = [cls.PromptedLabel(prompts=[prompt]) for prompt in prompts]
    request = cls.ClassifyZeroShotRequest(labels=labels, inputs=[Input(image=picture("red"))], use_templates=templates)
    response = await classify_zero_shot(counted.backbone, request, ["inputs[0]"], 5, np.inf, 256)
    [result] = response.results
    return result.classification


async def test_earlier_prompts_are_not_embedded_again(counted: Counted) -> None:
    first = await label(counted, "red circle", "blue square")
    assert counted.texts == 2
    assert await label(counted, "red circle", "blue square") == first
    assert counted.texts == 2


async def test_only_new_prompts_of_a_call_are_embedded(counted: Counted) -> None:
    await label(counted, "red circle", "blue square")
    await label(counted, "blue square", "green triangle", templates=True)  # unchanged, and with "a" in front
    assert counted.texts == 2 + 3


async def test_a_prompt_that_failed_is_tried_again(counted: Counted) -> None:
    counted.fails = True
    source = source_of_backbone(counted.backbone)
    with pytest.raises(RuntimeError):
        await prompt_directions(source, [["red circle"]], ["labels[0].prompts"], np.inf)
    counted.fails = False
    [direction] = await prompt_directions(source, [["red circle"]], ["labels[0].prompts"], np.inf)
    assert np.linalg.norm(direction) == pytest.approx(1)


def test_the_prompts_used_longest_ago_go_first() -> None:
    vector = np.ones(256, np.float32)  # 1 KiB, 4 bytes of text, and the overhead
    cache = PromptCache(max_bytes=3 * 1_412)
    for text in "abc":
        cache.put(text, vector)
    cache.get("a")
    cache.put("d", vector)
    assert [text for text in "abcd" if cache.get(text) is not None] == ["a", "c", "d"]


def test_a_text_that_is_put_twice_counts_once() -> None:
    cache = PromptCache(max_bytes=2 * 1_412)
    for text in "aaaab":
        cache.put(text, np.ones(256, np.float32))
    assert cache.get("a") is not None


def test_a_remembered_vector_does_not_keep_its_batch() -> None:
    cache, batch = PromptCache(), np.ones((32, 8), np.float32)
    cache.put("a", batch[3])
    kept = cache.get("a")
    assert kept is not None
    assert kept.base is None
