"""Measures answers for several views of one thing: error, calibration and dissent by the number of views.

    python -m bench.views [--draws N] [--data DIR] [--out DIR]

Views are jittered crops of photographs of caltech101 that were not enrolled, five of each of five photographs per
label: a part of the area, another shape, the mirror image half of the time, another light (bench/jittered_views.py).
Examples are whole photographs, drawn from the other 20 of each label. MobileNet V2 embeds them. No example shows
several views of anything, so that nothing can be fitted to views.

The targets are those of the strength "medium", 20 to 60 % of the area, which was named before anything was measured.
The pool was chosen on other draws, and on other crops of the same photographs. The rivals answer for the same views:
the mean vector; the mean of the log probabilities; that mean times an effective number of views, estimated from the
cosines between the views (the design effect of Kish 1965); their sum, as of independent views; and the mean of the
probabilities. ECE has 15 bins of equal width, over the answers of all draws together.

Regions: the least cosine between the vector of a region and that of the picture that was cropped to it before.
"""

import argparse
import io
from collections.abc import Iterator
from functools import cache as lazy
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import SETTINGS, Draw, draw
from bench.jittered_views import LIGHT, MEDIUM, STRONG, Jitter, views
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Array, Labelled, cached, mobilenet, pictures
from glimpse.backbone import Encoder, Region, bundled, decode_image, decode_regions, load_bundle
from glimpse.evaluate.figures.metrics import Flags, calibration_error, reliability
from glimpse.fewshot import NearestSimilarities, normalize, predict
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_DRAWS, _FIRST_SEED, _CROPS_SEED = 5, 10, 1
_SHOTS = (2, 5, 10)
_QUERIES, _VIEWS, _COUNTS = 5, 5, (1, 2, 3, 5)
_CLUTTER = "BACKGROUND_Google"
_LEAST = 1e-30
_REGION = Region(0.25, 0.1, 0.5, 0.6)
_PHOTOGRAPHS = 40


class Answers(NamedTuple):
    """The best label's probability for each query, (n,), and whether it is right."""

    probability: Floats
    right: Flags

    @property
    def error(self) -> float:
        return 100 * (1 - float(self.right.mean()))

    @property
    def calibration(self) -> float:
        return 100 * calibration_error(reliability(self.probability, self.right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=_DRAWS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with threadpool_limits(2):
        sections, targets = views_figures(options.data, options.draws)
        section, target = region_figures(options.data)
    head = page_head("Views and regions", "bench.views")
    record = {title: [columns, *lines] for title, columns, lines in (*sections, section)}
    write_tables(options.out / "views", head, [*sections, section], ("Targets", [*targets, target]), record, {})


def views_figures(data: Path, draws: int) -> tuple[list[Section], list[Target]]:
    """Returns the tables of the answers for views, and the targets."""
    every = pictures(data, "caltech101")
    files = sorted((data / "caltech101").glob("*/*.jpg"))
    asked = _asked(files)
    places = np.array([files.index(file) for file in asked])
    rest = np.setdiff1d(np.flatnonzero(every.labels != _CLUTTER), places)
    sets = (Labelled(every.vectors[rest], every.labels[rest]), Labelled(every.vectors[places], every.labels[places]))
    shown = {
        jitter: normalize(views(data, asked, jitter, _VIEWS, seed=_CROPS_SEED).reshape(-1, every.vectors.shape[1]))
        for jitter in (LIGHT, MEDIUM, STRONG)
    }
    lines: list[list[str]] = []
    rivals: list[list[str]] = []
    targets: list[Target] = []
    for shots in _SHOTS:
        drawn = [_Drawn(sets, shots, _FIRST_SEED + seed) for seed in range(draws)]
        whole = _joined([one.answers(one.ask("whole", sets[1].vectors)) for one in drawn])
        for jitter, vectors in shown.items():
            figures = [_Figures(one, jitter.name, vectors) for one in drawn]
            print(jitter.name, shots, flush=True)
            by_count = {count: _joined([one.pooled(count) for one in figures]) for count in _COUNTS}
            ratio = by_count[_VIEWS].error / by_count[1].error
            named = [f"{jitter.name}, {100 * jitter.least:.0f}-{100 * jitter.most:.0f} %", str(shots)]
            cells = [f"{whole.error:.1f}", *(f"{one.error:.1f}" for one in by_count.values()), f"{ratio:.2f}"]
            dissent = 100 * float(np.mean([one.dissent for one in figures]))
            lines.append([*named, *cells, *(f"{one.calibration:.1f}" for one in by_count.values()), f"{dissent:.0f}"])
            rivals += _rival_lines(named, figures, by_count[1].error)
            targets += _targets(jitter, shots, ratio, by_count[_VIEWS].calibration)
    columns = ["jitter, part of the area", "shots", "error, whole picture"]
    columns += [*(f"error, {count}" for count in _COUNTS), "5 / 1", *(f"ECE, {count}" for count in _COUNTS)]
    title = f"Error, ECE and dissent by the number of views, %; {draws} draws of {len(asked)} things"
    names = ["jitter, part of the area", "shots", "5 views combined by", "error", "5 / 1", "ECE", "sureness - accuracy"]
    return [(title, [*columns, "dissent at 5"], sorted(lines)), ("Ways to combine 5 views, %", names, rivals)], targets


def _asked(files: list[Path]) -> list[Path]:
    """Returns the last five photographs of each label, of which no example is drawn."""
    by_label: dict[str, list[Path]] = {}
    for file in files:
        by_label.setdefault(file.parent.name, []).append(file)
    return [file for label, some in sorted(by_label.items()) if label != _CLUTTER for file in some[-_QUERIES:]]


class _Drawn:
    """A draw, which is fitted only if an answer of it is not stored."""

    def __init__(self, sets: tuple[Labelled, Labelled], shots: int, seed: int) -> None:
        self.labels = sorted(set(sets[1].labels))
        self._truth = sets[1].labels
        self._name = f"views-answers-{shots}-{seed}"
        self._fitted = lazy(lambda: draw(sets, self.labels, shots, seed))

    def ask(self, name: str, queries: Array, things: Rows | None = None) -> Floats:
        """Returns the labels' probabilities, `(n, C)`; `name` names the stored ones."""
        return np.asarray(
            cached(f"{self._name}-{name}", lambda: _ask(self._fitted(), queries, things).astype(np.float32)), np.float64
        )

    def answers(self, probabilities: Floats) -> Answers:
        """Returns the best labels' probabilities, and whether they are right."""
        best = np.array(self.labels)[probabilities.argmax(1)]
        return Answers(probabilities.max(1), best == self._truth)

    def within_labels(self) -> float:
        """Returns the mean cosine between two examples of one label."""
        return float(cached(f"{self._name}-within", lambda: np.array([_within_labels(self._fitted())], np.float32))[0])


def _within_labels(drawn: Draw) -> float:
    cosines = []
    for label in set(drawn.enrolled.labels):
        some = normalize(drawn.enrolled.vectors[drawn.enrolled.labels == label])
        cosines.append(((some @ some.T).sum() - len(some)) / (len(some) * (len(some) - 1)))
    return float(np.mean(cosines))


class _Figures:
    """The answers of one draw for the views of every thing, `(n * 5, d)`."""

    def __init__(self, drawn: _Drawn, name: str, vectors: Array) -> None:
        self._drawn, self._name, self._vectors = drawn, name, vectors.reshape(-1, _VIEWS, vectors.shape[1])
        self._alone = drawn.ask(f"{name}-alone", vectors).reshape(len(self._vectors), _VIEWS, -1)
        self._of_all = self._engine(_VIEWS)

    def pooled(self, count: int) -> Answers:
        """Returns the engine's answers for the first views; of one view, those for each view alone."""
        if count == 1:
            return _joined([self._drawn.answers(self._alone[:, view]) for view in range(_VIEWS)])
        return self._drawn.answers(self._engine(count))

    def _engine(self, count: int) -> Floats:
        some = self._vectors[:, :count]
        queries = np.concatenate([normalize(some.mean(1)), some.reshape(-1, some.shape[2])])
        things = np.repeat(np.arange(len(some)), count)
        return self._drawn.ask(f"{self._name}-{count}", queries, things)[: len(some)]

    @property
    def dissent(self) -> float:
        """The part of the views whose own best label is not that of their thing."""
        return float(np.mean(self._alone.argmax(2) != self._of_all.argmax(1)[:, None]))

    def rivals(self) -> Iterator[tuple[str, Answers]]:
        """Yields other ways to combine all views, and their answers."""
        logs = np.log(np.maximum(self._alone, _LEAST))
        effective = self._effective_views()[:, None]
        ways = {
            "the engine: log probabilities, weighted by exp(-entropy)": self._of_all,
            "the mean vector": self._drawn.ask(f"{self._name}-mean", normalize(self._vectors.mean(1))),
            "mean log probability": softmax(logs.mean(1), 1.0),
            "mean log probability x effective views": softmax(logs.mean(1) * effective, 1.0),
            "sum of log probabilities": softmax(logs.sum(1), 1.0),
            "mean probability": self._alone.mean(1),
        }
        for name, probabilities in ways.items():
            yield name, self._drawn.answers(probabilities)

    def _effective_views(self) -> Floats:
        """Returns the design effect's number of views, (n,): 1 if they are equal, 5 if they are as far as examples."""
        cosines = np.einsum("nkd,njd->nkj", self._vectors, self._vectors).sum((1, 2))
        between = (cosines - _VIEWS) / (_VIEWS * (_VIEWS - 1))
        within = self._drawn.within_labels()
        dependence = np.clip((between - within) / (1 - within), 0, 1)
        return np.asarray(_VIEWS / (1 + (_VIEWS - 1) * dependence), np.float64)


def _ask(drawn: Draw, queries: Array, things: Rows | None = None) -> Floats:
    """Returns the labels' probabilities, `(n, C)` in the order of the engine's labels."""
    near = NearestSimilarities(nearest_similarities(queries, drawn.enrolled.vectors), np.full(len(queries), -1.0))
    found = predict(drawn.engine, drawn.span.coordinates(queries), near, SETTINGS, 1, things=things)
    evaluation = drawn.engine.evaluation(found.kind)
    assert evaluation is not None
    assert list(drawn.engine.labels) == sorted(set(drawn.queries.labels))
    probabilities = softmax(found.scores, 1 / evaluation.answer_temperature)
    np.testing.assert_allclose(probabilities.max(1), [one.probabilities[0] for one in found.predictions], rtol=1e-6)
    return probabilities.astype(np.float32)


def _joined(answers: list[Answers]) -> Answers:
    return Answers(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))


def _rival_lines(named: list[str], figures: list[_Figures], single_error: float) -> list[list[str]]:
    by_way: dict[str, list[Answers]] = {}
    for one in figures:
        for way, answers in one.rivals():
            by_way.setdefault(way, []).append(answers)
    lines = []
    for way, parts in by_way.items():
        joined = _joined(parts)
        gap = 100 * float(joined.probability.mean() - joined.right.mean())
        cells = [f"{joined.error:.1f}", f"{joined.error / single_error:.2f}", f"{joined.calibration:.1f}"]
        lines.append([*named, way, *cells, f"{gap:+.1f}"])
    return lines


def _targets(jitter: Jitter, shots: int, ratio: float, error: float) -> list[Target]:
    if jitter is not MEDIUM:
        return []
    return [
        Target(f"medium jitter, {shots} shots: error at 5 views / error at 1 view", ratio, "<=", 0.5),
        Target(f"medium jitter, {shots} shots: ECE at 5 views, %", error, "<=", 5.0),
    ]


def region_figures(data: Path) -> tuple[Section, Target]:
    """Returns the least cosine between a region's vector and that of the cropped picture, by backbone and file."""
    files = sorted((data / "caltech101").glob("*/*.jpg"))
    photographs = [Image.open(file).convert("RGB") for file in files[:: len(files) // _PHOTOGRAPHS]]
    lines, least = [], 1.0
    for bundle in (load_bundle(bundled()), mobilenet(data)):
        encoder, rule = Encoder(bundle, threads=2), bundle.manifest.image
        assert rule is not None
        for scaled in (False, True):
            its_rule = rule.model_copy(update={"scaled_decode": scaled})
            for kind in ("PNG with alpha", "JPEG turned by EXIF", "JPEG, 4 times as large"):
                cosines = []
                for photograph in photographs:
                    file = _file(photograph, kind)
                    pixels = [decode_regions(file, its_rule, [_REGION])[0], decode_image(_cropped(file), its_rule)]
                    one, other = normalize(encoder.encode_images(np.stack(pixels)))
                    cosines.append(float(one @ other))
                least = min(least, *cosines)
                lines.append([bundle.manifest.name, kind, "on" if scaled else "off", f"{min(cosines):.7f}"])
    columns = ["backbone", "file", "scaled decode", f"least cosine of {len(photographs)}"]
    section = ("The vector of a region beside that of the cropped picture", columns, lines)
    return section, Target("regions: least cosine to the vector of the cropped picture", least, ">=", 0.999999)


def _file(photograph: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    if kind.startswith("PNG"):
        photograph = photograph.copy()
        photograph.putalpha(Image.linear_gradient("L").resize(photograph.size))
        photograph.save(target, "PNG")
    elif kind.endswith("EXIF"):
        exif = Image.Exif()
        exif[0x0112] = 6
        photograph.save(target, "JPEG", exif=exif)
    else:
        photograph.resize((4 * photograph.width, 4 * photograph.height)).save(target, "JPEG")
    return target.getvalue()


def _cropped(file: bytes) -> bytes:
    """Returns the region of a picture as a PNG, cropped by Pillow as a viewer shows it: upright and over white."""
    with Image.open(io.BytesIO(file)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGBA")
    over = Image.new("RGBA", image.size, "white")
    over.alpha_composite(image)
    target = io.BytesIO()
    x, y, width, height = _REGION
    edges = (x * over.width, y * over.height, (x + width) * over.width, (y + height) * over.height)
    over.convert("RGB").crop(tuple(round(edge) for edge in edges)).save(target, "PNG")  # type: ignore[arg-type]
    return target.getvalue()


if __name__ == "__main__":
    main()
