"""Compares the settings of a foreign model with others: it separates inputs best with those it was trained with.

The ranks of the self-check have room for wrong settings: all-MiniLM-L6-v2 ranks every paraphrase first with the state
of its first token too. The separation of partners from other pairs is finer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from glimpse.backbone import ImageRule
from glimpse.export.foreign.probes import changed, encoded, paraphrases
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_image import IMAGENET, ImageEncoderSource, open_image_encoder
from glimpse.export.onnx.onnx_text import TextEncoderSource, open_text_encoder
from glimpse.export.onnx.reference_model import ImageReference
from glimpse.export.sample_inputs import pixels_of
from glimpse.export.tolerance import Check
from glimpse.files.scratch import scratch_folder

Vectors = npt.NDArray[np.float64]
#: Settings may be this much worse than others before they count as wrong; a prompt a little more.
MIN_RATIO, MIN_PROMPT_RATIO = 0.95, 0.9
#: The fewest photographs that say anything, and the most that are used.
MIN_PHOTOGRAPHS, MAX_PHOTOGRAPHS = 32, 64
_POOLINGS: tuple[Pooling, ...] = ("mean", "cls", "last")
_PROMPTS = ("", "query: ")
_HALF = ((0.5,) * 3, (0.5,) * 3)
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "values of 0 to 1": ((0.0,) * 3, (1.0,) * 3),
    "values of -1 to 1": _HALF,
    "ImageNet's mean": IMAGENET,
    "CLIP's mean": _OPENAI,
}
# A separation this small is none.
_LEAST = 0.1
# Means and deviations that differ by less are the same settings.
_SAME = 0.03


def separation(one: Vectors, other: Vectors) -> float:
    """Returns how far partners stand out, in standard deviations of the cosines of other pairs.

    Args:
        one: unit rows, (n, d).
        other: their partners, (n, d).
    """
    cosines = one @ other.T
    own = np.diag(cosines).copy()
    others = cosines[~np.eye(len(cosines), dtype=bool)].reshape(len(cosines), -1)
    across = cosines.T[~np.eye(len(cosines), dtype=bool)].reshape(len(cosines), -1)
    margins = np.concatenate([own - others.max(1), own - across.max(1)])
    return float(margins.mean() / max(others.std(), 1e-12))


def check_text_settings(graph: Path, source: TextEncoderSource, prompts: Sequence[str]) -> list[Check]:
    """Compares pooling and prompt of a sentence encoder with others, on paraphrases.

    Args:
        graph: the ONNX file.
        source: how its texts are prepared; its pooling is not "none".
        prompts: the model's own prompts; "" and "query: " are tried as well.
    """
    with scratch_folder() as folder:
        # Without a prompt of its own the tokenizer adds nothing, so that any prompt can be tried.
        reference, tokenizer = open_text_encoder(graph, replace(source, prefix=""), folder)

        def measured(prompt: str, poolings: Sequence[Pooling]) -> dict[Pooling, float]:
            ids = [[tokenizer.encode(prompt + text).ids for text in side] for side in paraphrases()]
            raw = [[reference.raw(row) for row in side] for side in ids]

            def vectors(side: int, pooling: Pooling) -> Vectors:
                rows = zip(raw[side], ids[side], strict=True)
                return np.stack([reference.pooled(value, len(row), pooling) for value, row in rows])

            return {pooling: separation(vectors(0, pooling), vectors(1, pooling)) for pooling in poolings}

        poolings = measured(source.prefix, _POOLINGS)
        tried = [prompt for prompt in dict.fromkeys((*_PROMPTS, *prompts)) if prompt != source.prefix]
        found = {prompt: measured(prompt, [source.pooling])[source.pooling] for prompt in tried}
        found[source.prefix] = poolings[source.pooling]
        by_name = {repr(prompt): value for prompt, value in found.items()}
        return [
            _check("pooling", poolings, source.pooling, MIN_RATIO),
            _check("prompt", by_name, repr(source.prefix), MIN_PROMPT_RATIO),
        ]


def check_picture_settings(graph: Path, source: ImageEncoderSource, photographs: Sequence[bytes]) -> list[Check]:
    """Compares mean, deviation and channel order with others, on photographs and changed copies of them.

    Drawings do not do: on them, two real encoders are as good with swapped channels and without the mean.
    """
    rng = np.random.default_rng(47)
    step = max(1, len(photographs) // MAX_PHOTOGRAPHS)
    chosen = [_square(content, source.size) for content in photographs[::step][:MAX_PHOTOGRAPHS]]
    sides = [[encoded(one) for one in chosen], [encoded(changed(one, rng), 60) for one in chosen]]
    with scratch_folder() as folder:
        reference = open_image_encoder(graph, source, folder)
        pixels = [pixels_of(reference.rule, side) for side in sides]

        def measured(model: ImageReference, channels: slice) -> float:
            return separation(*(np.stack([model.vector(one[..., channels]) for one in side]) for side in pixels))

        rule, straight = reference.rule, slice(None)
        found = {
            "these": measured(reference, straight),
            "swapped channels": measured(reference, slice(None, None, -1)),
        }
        for name, (mean, std) in _NORMALISATIONS.items():
            if _differ(rule, mean, std):
                other = reference.with_rule(rule.model_copy(update={"mean": mean, "std": std}))
                found[name] = measured(other, straight)
        return [_check("mean, deviation and channels", found, "these", MIN_RATIO)]


def _check(part: str, found: Mapping[Any, float], own: str, limit: float) -> Check:
    best = max((name for name in found if name != own), key=lambda name: found[name])
    ratio = found[own] / max(found[best], _LEAST)
    return Check(f"settings: {part} {own} against {best}, ratio of separations", ratio, ">=", limit)


def _differ(rule: ImageRule, mean: Sequence[float], std: Sequence[float]) -> bool:
    return bool(np.max(np.abs(np.subtract([*rule.mean, *rule.std], [*mean, *std]))) > _SAME)


def _square(content: bytes, size: int) -> Image.Image:
    rule: Any = ImageRule(size=max(size, 64), resize="shortest")
    return Image.fromarray(pixels_of(rule, [content])[0])
