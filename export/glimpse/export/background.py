"""Gives an exported bundle a background vocabulary: the packaged words, and rules measured on texts and drawings."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.backbone.background import background_words, embed_texts, write_background
from glimpse.backbone.inference.encoder import Vectors
from glimpse.backbone.manifest import BACKGROUND
from glimpse.export.batch_runner import on_cpu
from glimpse.export.sample_inputs import encoded, pixels_of
from glimpse.fewshot import BackgroundRule
from glimpse.fewshot.calibration.background_rules import measure_rule, measure_text_rule
from glimpse.fewshot.decision import EXAMPLE_SCALE

# Drawings to measure the rule of pictures on: two of each colour and shape that make 48 of the 192 pairs.
_PAIRS, _EACH = 48, 2
# Seconds between two lines of progress. A text encoder of fixed length takes minutes on two cores.
_REPORT_EVERY = 10.0


def make_background(
    bundle: Bundle, folder: Path, progress: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Embeds the words, and measures how they compete with labels.

    Args:
        bundle: a bundle that reads text, at its final precision.
        folder: the vocabulary's file is written here.
        progress: is called with a line from time to time.

    Returns:
        The manifest's `background`, and the file by its name in the bundle.
    """
    encoder, tokenizer = on_cpu(bundle), Tokenizer.of(bundle)
    texts = background_words()
    words = embed_texts(encoder, tokenizer, texts, _counter(len(texts), progress))
    words = words[np.isfinite(words).all(1) & (np.abs(np.linalg.norm(words, axis=1) - 1) < 1e-3)]
    if not len(words):
        return {}, {}
    scale = bundle.manifest.logit_scale or EXAMPLE_SCALE
    rules = {"text": _as_fields(measure_text_rule(words, scale))}
    if bundle.manifest.image:
        rules["image"] = _as_fields(_picture_rule(encoder, tokenizer, words, scale))
    write_background(folder / BACKGROUND, words)
    source = f"{len(words)} words, phrases and sentences of Glimpse"
    return {"background": {"source": source, **rules}}, {BACKGROUND: folder / BACKGROUND}


def _picture_rule(encoder: Encoder, tokenizer: Tokenizer, words: Vectors, scale: float) -> BackgroundRule:
    """Measures the rule of pictures on drawings of one coloured shape each, with captions such as "a red circle"."""
    from glimpse.export.drawings.rendering import render_scene
    from glimpse.export.drawings.scenes import COLOURS, SHAPES, Scene

    rng, rule = np.random.default_rng(29), encoder.manifest.image
    if rule is None:
        raise ValueError("this bundle reads no images")
    every = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    pairs = [every[place] for place in rng.permutation(len(every))[:_PAIRS] for _ in range(_EACH)]
    pixels = pixels_of(rule, [encoded(render_scene(Scene(*pair), rng)) for pair in pairs])
    batch = encoder.usual_batch
    pictures = np.concatenate([encoder.encode_images(pixels[i : i + batch]) for i in range(0, len(pixels), batch)])
    captions = embed_texts(encoder, tokenizer, [f"a {colour} {shape}" for colour, shape in pairs[::_EACH]])
    texts = captions.repeat(_EACH, axis=0)
    return measure_rule(words, scale, pictures, texts, _similar(pairs))


def _counter(total: int, progress: Callable[[str], None]) -> Callable[[int], None]:
    """Returns a function that reports how many of `total` texts are embedded, every ten seconds."""
    last = time.monotonic()

    def report(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPORT_EVERY and done < total:
            last = time.monotonic()
            progress(f"embedded {done:,} of {total:,} texts of the background vocabulary")

    return report


def _similar(pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.bool_]:
    """Returns whether two pairs have a colour or a shape in common: `(n, n)`."""
    return np.array([[one[0] == other[0] or one[1] == other[1] for other in pairs] for one in pairs])


def _as_fields(rule: BackgroundRule) -> dict[str, float]:
    return {"log_weight": rule.log_weight, "min_cosine": rule.min_cosine}
