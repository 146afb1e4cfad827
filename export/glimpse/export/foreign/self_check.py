"""Checks a bundle without its original: it repeats itself, in any batch, and ranks what belongs together first.

docs/pull.md has what these checks were seen to find, and what they cannot see.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.backbone.background import embed_texts
from glimpse.backbone.inference.encoder import Vectors
from glimpse.export.batch_runner import image_vectors, on_cpu, text_vectors
from glimpse.export.foreign.probes import captioned, paraphrases, translations, views
from glimpse.export.sample_inputs import pixels_of
from glimpse.export.tolerance import Check, smallest_cosine

#: Limits of the ranks: the part of inputs whose own partner is the nearest.
MIN_PARAPHRASES, MIN_TRANSLATIONS, MIN_VIEWS, MIN_CAPTIONS = 0.8, 0.75, 0.8, 0.25
_SAME, _BATCHES, _LENGTH = 0.999999, 0.9999, 1e-3
# Vectors of different inputs are never as similar as this unless the model ignores its input.
_DIFFERENT = 0.99999
_MIN_GAIN = 0.0
_BATCH = 8


def self_check(bundle: Bundle, languages: Sequence[str] = ()) -> list[Check]:
    """Runs every check that fits the bundle.

    Args:
        bundle: the bundle.
        languages: ISO 639-1 codes of the languages that the model was trained for, English excluded or not.

    Returns:
        The checks; a bundle whose checks pass may still be wrong in ways that docs/pull.md names.
    """
    encoder, checks = on_cpu(bundle), []
    if bundle.manifest.image:
        checks += _pictures(bundle, encoder)
    if bundle.manifest.text:
        checks += _texts(bundle, encoder, languages)
    if bundle.manifest.image and bundle.manifest.text:
        checks += _captions(bundle, encoder)
    return checks


def own_partner_first(one: Vectors, other: Vectors) -> float:
    """Returns the part of rows, in both directions, whose nearest row of the other side is its own partner."""
    cosines: npt.NDArray[np.floating] = one.astype(np.float64) @ other.T.astype(np.float64)
    own = np.arange(len(cosines))
    return float(np.mean([cosines.argmax(axis) == own for axis in (0, 1)]))


def _pictures(bundle: Bundle, encoder: Encoder) -> list[Check]:
    rule = bundle.manifest.image
    if rule is None:
        return []
    plain, changed = (pixels_of(rule, pictures) for pictures in views())
    batches = image_vectors(encoder, plain)
    again = encoder.encode_images(plain[:1])
    rank = Check("views: own scene first", own_partner_first(batches[-1], _encoded(encoder, changed)), ">=", MIN_VIEWS)
    return [*_stable("pictures", batches, again), rank]


def _texts(bundle: Bundle, encoder: Encoder, languages: Sequence[str]) -> list[Check]:
    tokenizer = Tokenizer.of(bundle)
    sentences, others = paraphrases()
    ids = [tokenizer.encode(text).ids for text in sentences]
    batches = text_vectors(encoder, tokenizer, ids)
    again = encoder.encode_texts(*tokenizer.pad(ids[:1]))
    score = own_partner_first(batches[-1], embed_texts(encoder, tokenizer, others))
    checks = [*_stable("texts", batches, again), Check("paraphrases: own one first", score, ">=", MIN_PARAPHRASES)]
    every = translations()
    for language in languages:
        if language != "en" and language in every:
            pair = (embed_texts(encoder, tokenizer, every[code]) for code in ("en", language))
            part = f"translations to {language}: own one first"
            checks.append(Check(part, own_partner_first(*pair), ">=", MIN_TRANSLATIONS))
    return checks


def _captions(bundle: Bundle, encoder: Encoder) -> list[Check]:
    """Returns the checks of captions. They name colours: with a wrong channel order, swapped pixels do better."""
    rule = bundle.manifest.image
    if rule is None:
        return []
    pictures, captions = captioned()
    pixels = pixels_of(rule, pictures)
    texts = embed_texts(encoder, Tokenizer.of(bundle), captions)
    plain, swapped = (
        float(np.mean((_encoded(encoder, values) @ texts.T).argmax(1) == np.arange(len(texts))))
        for values in (pixels, np.ascontiguousarray(pixels[..., ::-1]))
    )
    return [
        Check("captions: own one first", plain, ">=", MIN_CAPTIONS),
        Check("captions: gain over swapped channels", plain - swapped, ">=", _MIN_GAIN),
    ]


def _encoded(encoder: Encoder, pixels: npt.NDArray[np.uint8]) -> Vectors:
    return np.concatenate([encoder.encode_images(pixels[i : i + _BATCH]) for i in range(0, len(pixels), _BATCH)])


def _stable(kind: str, batches: Sequence[Vectors], again: Vectors) -> list[Check]:
    """Returns the checks of repetition, batches and lengths; `batches` has the same inputs at each batch size."""
    singly = batches[0]
    lengths = np.linalg.norm(singly.astype(np.float64), axis=1)
    longest = float(np.max(np.abs(lengths - 1))) if np.isfinite(lengths).all() else float("nan")
    cosines = singly.astype(np.float64) @ singly.T.astype(np.float64)
    return [
        Check(f"{kind}: the same input twice, cosine", smallest_cosine([again], singly[:1]), ">=", _SAME),
        Check(f"{kind}: batches against single inputs, cosine", smallest_cosine(batches[1:], singly), ">=", _BATCHES),
        Check(f"{kind}: length differs from 1 by", longest, "<=", _LENGTH),
        Check(f"{kind}: different inputs, largest cosine", float(_off_diagonal(cosines)), "<=", _DIFFERENT),
    ]


def _off_diagonal(cosines: npt.NDArray[np.float64]) -> float:
    return float(np.max(cosines - 2 * np.eye(len(cosines))))
