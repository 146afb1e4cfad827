"""Measures UNKNOWN from text alone: what the background vocabulary rejects, beside no background.

    python -m bench.zero_shot_unknown [--data DIR] [--out DIR] [--mini BUNDLE]

With glimpse-mini, 30 draws of 2, 5 and 10 labels, each a colour and a shape such as "a red circle". Pictures of the
labels are false rejects if they are UNKNOWN. Inputs out of distribution are caught if they are UNKNOWN: hatching,
textures, blank pages, pictures of colours and shapes that no label of the draw names, sentences (of banking77), and
photographs (caltech101). The vocabulary and its rules were fitted to noise, gradients and letters alone.

With MiniLM on banking77, 5 random thirds of the intents are held out; the names of the others are the labels. The score
is the fit of `glimpse.fewshot.calibration.background_vocabulary`; the rivals are the greatest softmax probability over
cosines (MCM, Ming et al. 2022), and the greatest cosine. The words of the vocabulary are those of the package.

The time is that of one query and its decision with 5 labels and d = 384, and of one selection.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Array, cached, embed_texts, label_names, minilm, texts
from glimpse.backbone import MINI, Bundle, Encoder, Tokenizer, decode_image, open_bundle
from glimpse.backbone.background import background_vectors, background_words
from glimpse.evaluate.figures.metrics import auroc
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, SHAPES, Scene
from glimpse.export.sample_inputs import encoded
from glimpse.fewshot import (
    Background,
    BackgroundRule,
    Decision,
    DecisionSettings,
    FewShotClassifier,
    NearestSimilarities,
    Policy,
    Predictions,
    Vocabulary,
    predict,
)
from glimpse.fewshot.calibration.background_rules import measure_text_rule
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax

_EACH, _DRAWS, _LABELS = 200, 30, (2, 5, 10)
Pair = tuple[str, str]
_PAIRS = [(colour, shape) for colour in COLOURS for shape in SHAPES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--mini", type=Path, default=Path(MINI), help="another bundle in the place of glimpse-mini")
    options = parser.parse_args()
    with threadpool_limits(1):
        parts = [_drawings(options.data, open_bundle(options.mini)), _intents(options.data), _times()]
    sections = [section for part, _ in parts for section in part]
    targets = [target for _, part in parts for target in part]
    head = page_head("UNKNOWN from text alone", "bench.zero_shot_unknown")
    record = {"tables": {title: [columns, *rows] for title, columns, rows in sections}}
    write_tables(options.out / "zero_shot_unknown", head, sections, ("Targets", targets), record, {})


class _Mini:
    """glimpse-mini, and its background."""

    def __init__(self, bundle: Bundle) -> None:
        self.encoder, self.tokenizer = Encoder(bundle, threads=1), Tokenizer.of(bundle)
        self.scale, rules = bundle.manifest.logit_scale or EXAMPLE_SCALE, bundle.manifest.background
        self.vocabulary = None
        if rules and (vectors := background_vectors(bundle)) is not None:
            image, text = (BackgroundRule(**rule.model_dump()) for rule in (rules.image, rules.text) if rule)
            self.vocabulary = Vocabulary(vectors, image, text)

    def pictures(self, files: Sequence[bytes]) -> Array:
        rule = self.encoder.manifest.image
        assert rule is not None
        pixels = [decode_image(file, rule) for file in files]
        return np.concatenate(
            [self.encoder.encode_images(np.stack(pixels[i : i + 64])) for i in range(0, len(pixels), 64)]
        )

    def texts(self, lines: Sequence[str]) -> tuple[Array, list[float]]:
        tokens = [self.tokenizer.encode(line) for line in lines]
        vectors = self.encoder.encode_texts(*self.tokenizer.pad([token.ids for token in tokens]))
        return vectors, [token.unknown for token in tokens]

    def decide(self, labels: Array, queries: Array, unknown: Sequence[float] = (), *, background: bool = True) -> float:
        """Returns the part of the queries that is UNKNOWN."""
        competing = None
        if background and self.vocabulary:
            rule = self.vocabulary.text if unknown else self.vocabulary.image
            competing = Background(self.vocabulary.select(labels), self.scale, [rule] * len(queries))
        settings = DecisionSettings(
            Policy(), self.scale, background=competing, unknown_tokens=unknown if background else ()
        )
        answers = _ask(_classifier(labels), queries, settings)
        return float(np.mean([answer.decision is Decision.UNKNOWN for answer in answers.predictions]))


def _classifier(labels: Array) -> FewShotClassifier:
    classifier = FewShotClassifier(labels.shape[1])
    for number, direction in enumerate(labels):
        classifier.set_text(str(number), direction)
    return classifier


def _ask(classifier: FewShotClassifier, queries: Array, settings: DecisionSettings) -> Predictions:
    return predict(classifier, queries, NearestSimilarities.none(len(queries)), settings, 1)


def _drawings(data: Path, bundle: Bundle) -> tuple[list[Section], list[Target]]:
    rng, mini = np.random.default_rng(31), _Mini(bundle)
    names, _ = mini.texts([f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}" for colour, shape in _PAIRS])
    kinds = {
        name: mini.pictures([encoded(make(rng)) for _ in range(_EACH)])
        for name, make in {"hatching": _hatching, "texture": _texture, "blank page": _blank}.items()
    }
    photographs = sorted((data / "caltech101").glob("*/*.jpg"))
    chosen = [photographs[place] for place in rng.permutation(len(photographs))[:_EACH]]
    kinds["photograph"] = mini.pictures([file.read_bytes() for file in chosen])
    lines = _sentences(data, rng)
    sentences, unknown = mini.texts(lines)
    rows: dict[str, list[float]] = {}
    for draw in range(_DRAWS):
        labels = rng.permutation(len(_PAIRS))[: _LABELS[draw % len(_LABELS)]]
        others = np.setdiff1d(np.arange(len(_PAIRS)), labels)
        own, other = (_scenes(mini, rng.choice(group, 60), rng) for group in (labels, others))
        for kind, vectors in {"the labels' own (false rejects)": own, "other shapes": other, **kinds}.items():
            rows.setdefault(kind, []).append(mini.decide(names[labels], vectors))
            rows.setdefault(f"{kind}, none", []).append(mini.decide(names[labels], vectors, background=False))
        rows.setdefault("sentence", []).append(mini.decide(names[labels], sentences, unknown))
        rows.setdefault("sentence, none", []).append(mini.decide(names[labels], sentences, unknown, background=False))
    return _drawing_tables({kind: 100 * float(np.mean(parts)) for kind, parts in rows.items()}, rows)


def _drawing_tables(means: dict[str, float], rows: dict[str, list[float]]) -> tuple[list[Section], list[Target]]:
    kinds = [kind for kind in means if not kind.endswith(", none")]
    lines = [
        [
            kind,
            f"{means[kind + ', none']:.1f}",
            f"{means[kind]:.1f}",
            f"{100 * np.std(rows[kind], ddof=1) / _DRAWS**0.5:.1f}",
        ]
        for kind in kinds
    ]
    strange = [means[kind] for kind in kinds[1:]]
    lines.append(["all out of distribution, each kind alike", "", f"{np.mean(strange):.1f}", ""])
    columns = ["inputs", "UNKNOWN without a background %", "UNKNOWN %", "standard error over draws"]
    targets = [
        Target("false rejects, %", means[kinds[0]], "<=", 5.0),
        Target("out of distribution, caught, %", float(np.mean(strange)), ">=", 95.0),
        Target("the least kind caught, %", min(strange), ">=", 80.0),
    ]
    return [("glimpse-mini, 2, 5 and 10 labels", columns, lines)], targets


def _scenes(mini: _Mini, pairs: Any, rng: np.random.Generator) -> Array:
    return mini.pictures([encoded(render_scene(Scene(*_PAIRS[place]), rng)) for place in pairs])


def _sentences(data: Path, rng: np.random.Generator) -> list[str]:
    import csv

    with (data / "text" / "banking77" / "test.csv").open(encoding="utf-8") as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    return [rows[place] for place in rng.permutation(len(rows))[:_EACH]]


def _hatching(rng: np.random.Generator) -> Image.Image:
    """Draws parallel or crossed lines over the whole page."""
    paper = tuple(rng.integers(180, 256, 3).tolist()) if rng.random() < 0.6 else tuple(rng.integers(0, 256, 3).tolist())
    picture, ink = Image.new("RGB", (160, 160), paper), tuple(rng.integers(0, 200, 3).tolist())
    draw, step, width = ImageDraw.Draw(picture), int(rng.integers(6, 30)), int(rng.integers(1, 6))
    crossed = rng.random() < 0.5
    for x in range(-160, 320, step):
        draw.line([(x, 0), (x + 160, 160)], fill=ink, width=width)
        if crossed:
            draw.line([(x + 160, 0), (x, 160)], fill=ink, width=width)
    return picture


def _texture(rng: np.random.Generator) -> Image.Image:
    """Draws soft noise of several scales, as of stone or cloth."""
    values = np.zeros((64, 64))
    for octave in range(1, 6):
        cells = rng.normal(0, 1, (2**octave, 2**octave)).astype(np.float32)
        values += np.asarray(Image.fromarray(cells).resize((64, 64), Image.Resampling.BICUBIC)) / octave
    shade = rng.integers(30, 226, 3) + values[..., None] * rng.uniform(10, 40)
    return Image.fromarray(shade.clip(0, 255).astype(np.uint8))


def _blank(rng: np.random.Generator) -> Image.Image:
    """Draws one colour; two of five pages are white."""
    white = rng.random() < 0.4
    return Image.new("RGB", (64, 64), (255, 255, 255) if white else tuple(rng.integers(0, 256, 3).tolist()))


def _intents(data: Path) -> tuple[list[Section], list[Target]]:
    _, queries = texts(data, "banking77")
    vectors = cached("background-words", lambda: embed_texts(minilm(), background_words()))
    vocabulary, known = Vocabulary(vectors), sorted(set(queries.labels))
    names, rule = label_names("banking77", known), measure_text_rule(vectors, EXAMPLE_SCALE)
    far = np.concatenate([texts(data, name)[1].vectors for name in ("trec", "sms_spam")])
    figures = []
    for seed in range(5):
        held_out = set(np.random.default_rng(seed).permutation(known)[: len(known) // 3].tolist())
        labels = np.stack([names[label] for label in known if label not in held_out])
        outside = np.isin(queries.labels, sorted(held_out))
        scores, selected = queries.vectors @ labels.T, vocabulary.select(labels)

        def fits(inputs: Array, labels: Array = labels, selected: Array = selected) -> Any:
            background = Background(selected, EXAMPLE_SCALE, [rule] * len(inputs))
            return background.compete(inputs, inputs @ labels.T).fits

        own = fits(queries.vectors)
        rivals = (
            own,
            softmax(scores, 1.0).max(1),
            softmax(scores, EXAMPLE_SCALE).max(1),
            scores.max(1).astype(np.float64),
        )
        areas = [auroc(score[~outside], score[outside]) for score in rivals]
        figures.append([*areas, *(100 * np.mean(part < 0) for part in (own[~outside], own[outside], fits(far)))])
    return _intent_tables(np.array(figures))


def _intent_tables(figures: Any) -> tuple[list[Section], list[Target]]:
    error = figures.std(0, ddof=1) / len(figures) ** 0.5
    names = ["with the background", "MCM, cosines as they are", "MCM, cosines / 0.07", "greatest cosine"]
    lines = [[name, f"{figures[:, i].mean():.4f}", f"{error[i]:.4f}"] for i, name in enumerate(names)]
    targets = []
    for i in (1, 2, 3):
        gains = figures[:, 0] - figures[:, i]
        spread = float(gains.std(ddof=1) / len(gains) ** 0.5)
        lines.append([f"gain over {names[i]}", f"{gains.mean():+.4f}", f"{spread:.4f}"])
        targets.append(Target(f"gain over {names[i]}, in standard errors", float(gains.mean() / spread), ">=", 1.0))
    rates = [
        [name, f"{figures[:, i].mean():.1f}", f"{error[i]:.1f}"]
        for i, name in ((4, "known intents (false rejects)"), (5, "held-out intents"), (6, "TREC and sms_spam"))
    ]
    sections = [
        ("MiniLM, banking77 with a third of the intents held out: AUROC", ["score", "AUROC", "standard error"], lines),
        ("the same: UNKNOWN by default, %", ["texts", "UNKNOWN %", "standard error"], rates),
    ]
    return sections, targets


def _times() -> tuple[list[Section], list[Target]]:
    rng = np.random.default_rng(0)

    def unit(count: int) -> Array:
        vectors = rng.normal(size=(count, 384)).astype(np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    labels, words, query = unit(5), Vocabulary(unit(2_276)), unit(1)
    classifier, selected = _classifier(labels), words.select(labels)
    settings = [
        DecisionSettings(Policy(), EXAMPLE_SCALE, background=background)
        for background in (None, Background(selected, EXAMPLE_SCALE, [BackgroundRule()]))
    ]
    without, beside = (_median_ms(lambda each=each: _ask(classifier, query, each)) for each in settings)
    many = unit(1_000)
    lines = [
        ["query and decision without a background", f"{without:.3f}"],
        ["query and decision with a background", f"{beside:.3f}"],
        ["selection for 5 labels, once per set of prompts", f"{_median_ms(lambda: words.select(labels)):.3f}"],
        ["selection for 1,000 labels", f"{_median_ms(lambda: words.select(many)):.3f}"],
    ]
    return [("Time, one thread", ["step", "ms"], lines)], [Target("query and decision, ms", beside, "<=", 0.2)]


def _median_ms(run: Any, times: int = 200) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))


if __name__ == "__main__":
    main()
