"""Stage 1: trains a residual layer on frozen vectors, cross-fitted, and writes it into the bundle's graph. No torch."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glimpse.backbone import Bundle, Embedder
from glimpse.backbone.adaptation.residual_layer import apply
from glimpse.backbone.adaptation.write import add_residual, prove, write_adapted_bundle
from glimpse.backbone.background import background_vectors, background_words, write_background
from glimpse.backbone.embedder import Prepared
from glimpse.backbone.manifest import BACKGROUND
from glimpse.cli.adapt.data import TrainingData
from glimpse.cli.adapt.lineage import make_lineage, make_record
from glimpse.fewshot.adaptation import CrossFitted, Space, cross_fit
from glimpse.fewshot.adaptation.residual import train_residual
from glimpse.fewshot.calibration.background_rules import measure_text_rule
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

# Inputs on which a written graph is compared with its training.
_PROOF = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of stage 1.

    Attributes:
        strength: how much the layer is pulled towards the frozen weights; divided by the number of examples.
        folds: the most folds of the cross-fitting.
        seed: the seed of the folds.
    """

    strength: float = 1.0
    folds: int = 5
    seed: int = 0


def measure(data: TrainingData, settings: Settings, after_fold: Callable[[], None] | None = None) -> CrossFitted:
    """Cross-fits stage 1. Raises ValueError if no example can be held out."""

    def train(training: Rows) -> Space:
        parts = train_residual(data.frozen.vectors[training], data.rows[training], settings.strength)
        return adapt_space(data, parts)

    return cross_fit(
        train,
        data.frozen,
        data.rows,
        data.groups,
        folds=settings.folds,
        seed=settings.seed,
        after_fold=after_fold,
    )


def adapt_space(data: TrainingData, parts: tuple[Array, ...]) -> Space:
    """Returns the data behind the layer. Texts pass it only if texts were adapted."""
    texts = data.frozen.texts
    if texts is not None and data.kind == "text":
        texts = apply(texts, parts)
    return Space(apply(data.frozen.vectors, parts), texts)


def write(
    out: Path, name: str, parent: Bundle, data: TrainingData, result: CrossFitted, settings: Settings, *, forced: bool
) -> Bundle:
    """Trains the layer on all examples, and writes the bundle with its proof.

    Args:
        out: the bundle's folder.
        name: its name.
        parent: the frozen backbone.
        data: the examples.
        result: the cross-fitted results of `measure`.
        settings: the settings of `measure`.
        forced: whether it is written in spite of `refusal`.

    Raises:
        BundleError: `out` is not empty, or the written graph differs from its training.
    """
    parts = train_residual(data.frozen.vectors, data.rows, settings.strength)
    how: dict[str, int | float | str] = {"strength": settings.strength}
    with tempfile.TemporaryDirectory(prefix="glimpse-adapt-") as scratch:
        folder = Path(scratch)
        changed, layers = add_residual(parent, data.kind, parts, folder)
        background, more = _background(parent, data, parts, folder)

        def lineage(min_cosine: float) -> Any:
            return make_lineage(
                parent,
                data,
                result,
                "residual",
                layers,
                how,
                seed=settings.seed,
                forced=forced,
                min_cosine=min_cosine,
            )

        record, files = make_record(data, result), changed | more
        tried = write_adapted_bundle(folder / "tried", parent, name, lineage(1.0), record, files, background)
        expected = apply(_proof_vectors(parent, data), parts)
        least = prove(lambda: _proof_vectors(tried, data), expected, out)
        return write_adapted_bundle(out, parent, name, lineage(least), record, files, background)


def _proof_vectors(bundle: Bundle, data: TrainingData) -> Array:
    """Embeds some inputs in one batch: pixels of noise, or words."""
    embedder = Embedder(bundle)
    rule = bundle.manifest.image
    inputs: list[Prepared]
    if data.kind == "image" and rule:
        rng = np.random.default_rng(0)
        inputs = list(rng.integers(0, 256, (_PROOF, rule.size, rule.size, 3), np.uint8))
    else:
        inputs = [embedder.prepare("text", word.encode()) for word in background_words()[:_PROOF]]
    return np.asarray(embedder.encode(data.kind, inputs), np.float32)


def _background(
    parent: Bundle, data: TrainingData, parts: tuple[Array, ...], folder: Path
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Returns the background vocabulary behind the layer, with its rule measured again, if texts were adapted."""
    words = background_vectors(parent)
    if words is None or data.kind != "text" or parent.manifest.background is None:
        return {}, {}
    adapted = apply(words, parts)
    rule = measure_text_rule(adapted, parent.manifest.logit_scale or EXAMPLE_SCALE)
    write_background(folder / BACKGROUND, adapted)
    text = {"log_weight": rule.log_weight, "min_cosine": rule.min_cosine}
    return {"background": {"source": parent.manifest.background.source, "text": text}}, {
        BACKGROUND: folder / BACKGROUND
    }
