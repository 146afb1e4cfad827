"""ProKeR with the texts as its prior (Bendou et al. 2025), beside what answers today for text and examples.

    f(x) = f0(x) + k(x, S) (K + lam I)^-1 (Y - f0(S)),   k(x, y) = exp(-beta (1 - x · y))

f0 is softmax over the cosines to the labels' texts, at the temperature with the least log-loss of the examples, which
texts need not leave out. With 2 to 7 shots one example of every label is left out at once, with more each alone: beta
and lam have the least squared error of these examples, and f / T their least log-loss. At one shot beta is 4 and lam
is 1, and each is left out alone. *Joined* is the normalised geometric mean of both methods' probabilities. Differences
in log-loss have their standard error over the draws.

Texts are names of labels for MiniLM (banking77, TREC, spam). For glimpse-mini, inputs are drawings of 24 labels, and
texts such as "a small striped red oval" (shapes) or "a red circle above a blue square" (arrangements).
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, draw, split
from bench.fewshot.figures import Figures, engine_numbers
from bench.report import Section, Target
from bench.vectors import Array, Labelled, cached, label_names, texts
from glimpse.backbone import Encoder, Tokenizer, bundled, decode_image, load_bundle
from glimpse.backbone.background import embed_texts
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import FILLS, RELATIONS, SIZES, Scene
from glimpse.export.sample_inputs import encoded
from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.heads.batch_heads import turns_of
from glimpse.fewshot.heads.kernel_ridge import BETAS, RIDGES
from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_SHOTS = (1, 2, 4, 8, 16)
_ONE_SHOT = 4.0, 1.0
_EACH = 40
_METHODS = ("today", "ProKeR", "joined")
TextSet = tuple[tuple[Labelled, Labelled], Mapping[str, Array]]


def text_prior(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the tables; there are no targets."""
    sections: list[Section] = []
    for name in ("banking77", "trec", "sms_spam", *_SCENES):
        data_set, directions = _drawings(name) if name in _SCENES else _texts(data, name)
        known, lines = sorted(directions), []
        for shots in _SHOTS:
            draws = [
                engine_numbers(f"prior-{name}-{shots}-{seed}", _figures, data_set, known, shots, seed, directions)
                for seed in range(SEEDS)
            ]
            lines.append([str(shots), *_cells(np.array(draws).reshape(SEEDS, len(_METHODS), 2))])
        columns = [f"{method}: {figure}" for figure in ("accuracy", "log-loss") for method in _METHODS]
        sections.append((f"{name}: a text prior in kernel ridge", ["shots", *columns, *_DIFFERENCES], lines))
    return sections, []


_DIFFERENCES = ("log-loss, ProKeR - today", "joined - today")


def _cells(figures: Floats) -> list[str]:
    """Returns means of both figures, and differences in log-loss with their standard error: (draws, methods, 2)."""
    accuracy, loss = figures[..., 0], figures[..., 1]
    gains = loss[:, 1:] - loss[:, :1]
    errors = gains.std(0, ddof=1) / len(gains) ** 0.5
    differences = [f"{gain:+.3f} ± {error:.3f}" for gain, error in zip(gains.mean(0), errors, strict=True)]
    return [*(f"{one:.1f}" for one in accuracy.mean(0)), *(f"{one:.3f}" for one in loss.mean(0)), *differences]


def _texts(data: Path, name: str) -> TextSet:
    data_set = texts(data, name)
    return data_set, label_names(name, data_set[0].labels)


def _drawings(name: str) -> TextSet:
    """Returns drawings of one kind, embedded by glimpse-mini, and the texts of their labels."""
    rng, bundle, scenes = np.random.default_rng(5), load_bundle(bundled()), _SCENES[name]()

    def make() -> Array:
        encoder, rule = Encoder(bundle, threads=1), bundle.manifest.image
        assert rule is not None
        drawn = [encoded(render_scene(scene, rng)) for scene in scenes.values() for _ in range(_EACH)]
        pixels = [decode_image(file, rule) for file in drawn]
        return np.concatenate([encoder.encode_images(np.stack(pixels[i : i + 64])) for i in range(0, len(pixels), 64)])

    whole = Labelled(cached(f"{name.replace(' ', '-')}-mini", make), np.repeat(np.array(list(scenes)), _EACH))
    directions = embed_texts(Encoder(bundle, threads=1), Tokenizer.of(bundle), list(scenes))
    return (whole, whole), dict(zip(scenes, directions, strict=True))


def _shapes() -> dict[str, Scene]:
    """Returns single shapes by text: texts alone are right for four of five."""
    kinds = [("red", "circle"), ("red", "oval"), ("red", "ring"), ("orange", "circle")]
    attributes = itertools.product(SIZES, FILLS, kinds)
    return {f"a {size} {fill} {' '.join(kind)}": Scene(*kind, size=size, fill=fill) for size, fill, kind in attributes}


def _arrangements() -> dict[str, Scene]:
    """Returns two shapes in four relations by text: texts alone are right for one of six."""
    red, blue, green, black = "a red circle", "a blue square", "a green star", "a black heart"
    pairs = [(red, blue), (blue, red), (green, black), (black, green), (red, black), (green, blue)]
    result = {}
    for (one, other), relation in itertools.product(pairs, RELATIONS):
        (colour, shape), second = one.split()[1:], other.split()[1:]
        text = f"{one} {relation} {other}"
        result[text] = Scene(colour, shape, relation=relation, second_colour=second[0], second_shape=second[1])
    return result


_SCENES: dict[str, Callable[[], dict[str, Scene]]] = {"shapes": _shapes, "arrangements": _arrangements}


def _figures(
    data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int, directions: Mapping[str, Array]
) -> list[float]:
    """Returns balanced accuracy and log-loss of each method."""
    both, drawn = draw(data_set, known, shots, seed, directions), split(data_set, known, shots, seed)
    today = both.probabilities(known)
    stacked = np.stack([directions[label] for label in known])
    proker = _proker(drawn.enrolled.vectors, drawn.rows, stacked, drawn.queries.vectors)
    joined = np.log(np.maximum(today, 1e-12)) + np.log(np.maximum(proker, 1e-12))
    figures = [Figures.of(one, drawn.truth) for one in (today, proker, softmax(joined, 0.5))]
    return [number for one in figures for number in (one.accuracy, one.log_loss)]


def _proker(vectors: Array, rows: Rows, directions: Array, queries: Array) -> Floats:
    """Returns probabilities of queries, (n, d) → (n, C), from examples, (N, d), and texts, (C, d)."""
    cosines, counts = vectors @ directions.T, np.bincount(rows, minlength=len(directions)).astype(np.float64)
    scale = 1 / best_temperature(cosines, rows)
    prior, target = softmax(cosines, scale), np.eye(len(directions))[rows]
    turns = list(several_members(turns_of(rows, counts)))
    pairs = list(itertools.product(BETAS, RIDGES)) if counts.max() > 1 else [_ONE_SHOT]
    fits = {pair: _left_out(vectors, target - prior, turns, *pair) for pair in pairs}
    best = min(pairs, key=lambda pair: float(np.mean((target - prior - fits[pair][0]) ** 2)))
    left_out, weights = fits[best]
    temperature = best_temperature(prior + left_out, rows)
    scores = softmax(queries @ directions.T, scale) + _kernel(queries, vectors, best[0]) @ weights
    return softmax(scores, 1 / temperature)


def _left_out(
    vectors: Array, residuals: Floats, together: Sequence[Rows], beta: float, ridge: float
) -> tuple[Floats, Floats]:
    """Returns the regression on residuals, (N, C), at each example without it, (N, C), and its weights, (N, C)."""
    inverse = np.linalg.inv(_kernel(vectors, vectors, beta) + ridge * np.eye(len(vectors)))
    weights = inverse @ residuals
    errors = weights / np.diag(inverse)[:, None]
    for members in together:
        errors[members] = np.linalg.solve(inverse[np.ix_(members, members)], weights[members])
    return residuals - errors, weights


def _kernel(queries: Array, vectors: Array, beta: float) -> Floats:
    return np.exp(beta * (np.asarray(queries @ vectors.T, np.float64) - 1))
