"""Makes the pictures of docs/deciding.md that need real data, and prints the figures that the page quotes.

It uses MobileNet V2's vectors of photographs and MiniLM's of texts, kept under build/bench (bench/vectors.py).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from threadpoolctl import threadpool_limits

from bench.fewshot.calibration import by_cosines, by_engine
from bench.fewshot.draws import Draw, draw
from bench.vectors import Array, Labelled, cached, embed_pictures, pictures, texts
from glimpse.backbone import bundled, load_bundle
from glimpse.evaluate.figures.metrics import calibration_error, reliability
from glimpse.fewshot import Decision, DecisionSettings, Examples, Policy, fit
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.statistics.unit_vectors import Floats

_BLUE, _ORANGE, _RED, _GREY, _INK = "#2a6fbb", "#d9752b", "#b03a3a", "#8a9099", "#22252a"
_SEEDS, _SHOTS, _TARGET, _ACCEPTED, _CLUTTER = 5, 8, 0.05, 0.2, "BACKGROUND_Google"
_TENTHS, _FEWEST = np.linspace(0, 1, 11), 20
_SUSPECT_DRAWS, _SIGNS = 40, 10

Sure = tuple[Floats, npt.NDArray[np.bool_]]  # (n,) probabilities of the best label, and whether it was right
Parts = dict[str, tuple[Floats, str]]  # fits, and a colour


def make(data: Path, save: Callable[[str], None]) -> None:
    """Draws the pictures, and saves each under a name."""
    with threadpool_limits(1):
        photographs, intents = pictures(data, "caltech101"), texts(data, "banking77")
        labelled = photographs.labels != _CLUTTER
        classes = Labelled(photographs.vectors[labelled], photographs.labels[labelled])
        _reliability({"caltech101 (photographs)": (classes, classes), "banking77 (texts)": intents})
        save("reliability.svg")
        _unknown(photographs)
        save("unknowns.svg")
        _sets(intents)
        _suspects(data)


def _reliability(sets: dict[str, tuple[Labelled, Labelled]]) -> None:
    _, panels = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
    for axes, (name, one) in zip(panels, sets.items(), strict=True):
        drawn = list(_draws(one, _SHOTS))
        for title, ask, colour in (("cosines / 0.07", by_cosines, _ORANGE), ("calibrated", by_engine, _BLUE)):
            answers = [ask(each) for each in drawn]
            error = np.mean([calibration_error(reliability(*each)) for each in answers])
            axes.plot(*_curve(answers), "o-", color=colour, ms=4, label=f"{title} (ECE {error:.1%})")
        axes.plot([0, 1], [0, 1], color=_GREY, lw=0.8, ls="--")
        axes.set(title=f"{name}, {_SHOTS} shots", xlabel="probability", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
    panels[0].set_ylabel("accuracy")


def _draws(one: tuple[Labelled, Labelled], shots: int) -> Iterator[Draw]:
    known = sorted(set(one[0].labels))
    return (draw(one, known, shots, seed) for seed in range(_SEEDS))


def _curve(answers: Sequence[Sure]) -> tuple[Floats, Floats]:
    """Returns mean probability and accuracy per tenth with enough answers of all draws."""
    confidence, right = (np.concatenate(kind) for kind in zip(*answers, strict=True))
    places = np.clip(np.digitize(confidence, _TENTHS) - 1, 0, len(_TENTHS) - 2)
    counts = np.bincount(places, minlength=len(_TENTHS) - 1)
    x, y = (np.bincount(places, what, len(_TENTHS) - 1) / np.maximum(counts, 1) for what in (confidence, right))
    return x[counts >= _FEWEST], y[counts >= _FEWEST]


def _unknown(data: Labelled) -> None:
    """Holds out a fifth of the labels as unknown inputs like the labels; clutter is like nothing. Draws seed 0."""
    rates: list[list[float]] = []
    for seed in range(_SEEDS):
        labels = np.array(sorted(set(data.labels) - {_CLUTTER}))
        held_out = sorted(np.random.default_rng(seed).permutation(labels)[: len(labels) // 5].tolist())
        drawn = draw((data, data), sorted(set(labels.tolist()) - set(held_out)), _SHOTS, seed)
        evaluation = drawn.engine.evaluation(drawn.engine.head().kind)
        assert evaluation is not None  # noqa: S101 (there are examples enough)
        least, accepting = (evaluation.typicality.min_fit(_TARGET, accept) for accept in (None, _ACCEPTED))
        assert least is not None  # noqa: S101 (likewise)
        assert accepting is not None  # noqa: S101 (likewise)
        new = _fits(drawn, evaluation, drawn.queries.vectors)
        parts: Parts = {
            "its own examples, each left out": (evaluation.typicality.fits, _GREY),
            "new photographs of its labels": (new, _BLUE),
            f"of {len(held_out)} other labels": (
                _fits(drawn, evaluation, data.vectors[np.isin(data.labels, held_out)]),
                _ORANGE,
            ),
            "clutter": (_fits(drawn, evaluation, data.vectors[data.labels == _CLUTTER]), _RED),
        }
        if not rates:
            _draw_unknown(parts, least)
        in_sample = np.quantile(_fits(drawn, evaluation, drawn.enrolled.vectors), _TARGET)
        expected = (evaluation.typicality.label_left_out < least).mean()
        other = parts[f"of {len(held_out)} other labels"][0]
        rates.append([float((fits < least).mean()) for fits, _ in parts.values()])
        rates[-1] += [expected, (new < in_sample).mean(), (other >= accepting).mean(), (new < accepting).mean()]
    figures = ", ".join(f"{figure:.1%}" for figure in np.mean(rates, 0))
    print(f"under the threshold: {', '.join(parts)}, labels left out; new ones under that of fits in-sample;")
    print(f"for {_ACCEPTED:.0%} of false accepts: other labels accepted, new ones refused: {figures}")


def _fits(drawn: Draw, evaluation: HeadEvaluation, vectors: Array) -> Floats:
    near, seen = nearest_similarities(vectors, drawn.enrolled.vectors), drawn.span.coordinates(vectors)
    scores = drawn.engine.scores(evaluation.kind, seen)
    return evaluation.typicality.combined_fits(
        drawn.engine.measures(evaluation.kind, seen, near, scores, evaluation.temperature)
    )


def _draw_unknown(parts: Parts, least: float) -> None:
    _, axes = plt.subplots(figsize=(8, 3.3))
    low, high = np.quantile(np.concatenate([fits for fits, _ in parts.values()]), [0.002, 0.998])
    for name, (fits, colour) in parts.items():
        title = f"{name}: {(fits < least).mean():.0%} under the threshold"
        bins = np.linspace(low, high, 15 if len(fits) < _FEWEST * 2 else 40).tolist()
        axes.hist(fits, bins, density=True, histtype="step", color=colour, lw=1.6, label=title)
    axes.axvline(least, color=_INK, lw=1)
    top = axes.get_ylim()[1]
    axes.text(least, top, " MATCH, or AMBIGUOUS", va="top")
    axes.text(least, top, "UNKNOWN ", va="top", ha="right")
    axes.set(xlabel="how well it fits", ylabel="inputs (each curve scaled)", yticks=[])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8)


def _sets(data: tuple[Labelled, Labelled]) -> None:
    """Prints how often prediction sets contain the right label, and how large they are."""
    drawn = list(_draws(data, _SHOTS))
    for coverage in (0.8, 0.9, 0.95, 0.99):
        holds, sizes, unsure = [], [], []
        for one in drawn:
            terms = DecisionSettings(Policy(coverage=coverage), EXAMPLE_SCALE)
            answers = one.ask(one.queries.vectors, len(one.engine.labels), terms=terms).predictions
            pairs = zip(answers, one.queries.labels, strict=True)
            holds += [label in each.labels[: each.set_size] for each, label in pairs]
            sizes += [each.set_size for each in answers]
            unsure += [each.decision is Decision.AMBIGUOUS for each in answers]
        held, size, ambiguous = np.mean(holds), np.mean(sizes), np.mean(unsure)
        print(f"coverage {coverage:.0%}: held {held:.1%}, {size:.2f} labels a set, AMBIGUOUS {ambiguous:.1%}")


def _suspects(data: Path) -> None:
    """Prints how often one of 80 examples with another sign's label is found, through glimpse-mini."""
    files = sorted((data / "sign_digits").glob("*/*.JPG"))
    vectors = cached("sign_digits-mini", lambda: embed_pictures(load_bundle(bundled()), files))
    labels = np.array([int(file.parent.name) for file in files])
    found = [_place_of_wrong(vectors, labels, seed) for seed in range(_SUSPECT_DRAWS)]
    places: Sequence[int] = [place for place, count in found if place < count]
    firsts, early = sum(place == 0 for place in places), sum(place < 3 for place in places)
    suspects = np.mean([count for _, count in found])
    print(f"wrong label found {len(places)} of {len(found)}, first {firsts}, among 3 {early}; suspects {suspects:.1f}")


def _place_of_wrong(vectors: Array, labels: npt.NDArray[np.int_], seed: int) -> tuple[int, int]:
    """Returns the position of the wrong example among the suspects, from 0, and the number of suspects."""
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(labels == sign))[:_SHOTS] for sign in range(_SIGNS)]
    chosen = np.concatenate(drawn)
    wrong, enrolled = int(rng.integers(len(chosen))), labels[chosen]
    enrolled[wrong] = rng.choice(np.setdiff1d(np.arange(_SIGNS), enrolled[wrong]))
    fitted = fit(Examples(vectors[chosen], enrolled, [str(sign) for sign in range(_SIGNS)]))
    evaluation = fitted.evaluations[fitted.chosen]
    suspects = fitted.sampled[evaluation.suspects(fitted.rows)].tolist()
    return (suspects.index(wrong) if wrong in suspects else len(suspects)), len(suspects)
