"""Text and examples together, and each alone: balanced accuracy in percent."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import best_labels, draw, seeds
from bench.fewshot.equal_shots import earlier
from bench.fewshot.figures import engine_numbers
from bench.report import Section, Target
from bench.vectors import Array, Labelled, label_names, texts
from glimpse.evaluate.trials.trial import train_classifier


def text_and_examples(data: Path) -> tuple[list[Section], list[Target]]:
    sections, targets = [], []
    for name in ("banking77", "trec", "sms_spam"):
        data_set = texts(data, name)
        known, lines = sorted(set(data_set[0].labels)), []
        directions = label_names(name, known)
        least = {"text": np.inf, "better": np.inf}
        gains = []
        for shots in (1, 2, 4, 8, 16):
            accuracies = [
                engine_numbers(f"text-{name}-{shots}-{seed}", _accuracies, data_set, known, shots, seed, directions)
                for seed in seeds(known)
            ]
            zero, examples, together = np.mean(accuracies, 0).tolist()
            least["text"] = min(least["text"], together - zero)
            least["better"] = min(least["better"], together - max(zero, examples))
            gains.append(together - max(zero, examples))
            before = earlier(f"{name}|t{shots}", seeds(known)).accuracy
            figures = (zero, examples, before, together)
            lines.append([str(shots), *(f"{figure:.1f}" for figure in figures), f"{gains[-1]:+.1f}"])
        lines.append(["least, mean", "", "", "", "", f"{min(gains):+.1f}, {np.mean(gains):+.1f}"])
        columns = ["shots", "text", "examples", "both, before", "both", "both - the better"]
        sections.append((f"{name}, with text: balanced accuracy, %", columns, lines))
        targets.append(Target(f"{name}: both - text, least, points", float(least["text"]), ">=", 0.0))
        targets.append(Target(f"{name}: both - the better, least, points", float(least["better"]), ">=", -0.5))
    return sections, targets


def _accuracies(
    data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int, directions: Mapping[str, Array]
) -> list[float]:
    """Returns the balanced accuracies of text alone, examples alone, and both."""
    both, alone = draw(data_set, known, shots, seed, directions), draw(data_set, known, shots, seed)
    queries, text_vectors = both.queries.vectors, np.stack([directions[label] for label in known])
    text = train_classifier(queries[:0], np.empty(0, np.intp), known, text_vectors)
    predictions = [both.ask(queries, engine=text), alone.ask(queries), both.ask(queries)]
    return [both.balanced(best_labels(answers)) for answers in predictions]
