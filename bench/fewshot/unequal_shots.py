"""Unequal shots without text: a random half of the labels has 1, 2 or 4 examples, the others have 30.

The columns are balanced accuracies in percent: logistic regression, the same with balanced weights of labels, the
earlier engine (see equal_shots.py) and this one, with this one's log-loss.
"""

from pathlib import Path

from bench.fewshot.draws import answered, few_and_many, seeds, split
from bench.fewshot.equal_shots import earlier
from bench.fewshot.figures import Figures, engine_numbers
from bench.fewshot.logistic import logistic_figures
from bench.fewshot.sets import known_labels, load
from bench.report import Section, Target

_WANTED = {"trec": {1: 51, 2: 62, 4: 64}, "banking77": {1: 66, 2: 76, 4: 82}}


def unequal_shots(data: Path) -> tuple[list[Section], list[Target]]:
    sections, targets = [], []
    columns = ["shots of half", "logistic regression", "balanced", "before", "now", "log-loss before → now"]
    for name, wanted in _WANTED.items():
        lines = []
        for few, least in wanted.items():
            plain, balanced, before, now = _figures(data, name, few)
            accuracies = [f"{one.accuracy:.1f}" for one in (plain, balanced, before, now)]
            lines.append([str(few), *accuracies, f"{before.log_loss:.2f} → {now.log_loss:.2f}"])
            title = f"{name}, half with {few}"
            targets.append(Target(f"{title}: balanced accuracy", now.accuracy, ">=", least))
            gain = now.accuracy - balanced.accuracy
            targets.append(Target(f"{title}: minus balanced logistic regression", gain, ">=", 0.0))
        sections.append((f"{name}, unequal shots: balanced accuracy, %", columns, lines))
    return sections, targets


def _figures(data: Path, name: str, few: int) -> tuple[Figures, Figures, Figures, Figures]:
    data_set = load(data, name)
    known = known_labels(data_set)
    plain, balanced, now = [], [], []
    for seed in seeds(known):
        shots = few_and_many(known, few, seed)
        drawn = split(data_set, known, shots, seed)
        plain.append(logistic_figures(name, f"{few}-30", seed, drawn))
        balanced.append(logistic_figures(name, f"{few}-30", seed, drawn, balanced=True))
        now.append(Figures(*engine_numbers(f"{name}-{few}-30-{seed}", answered, data_set, known, shots, seed)))
    print(f"{name}, half with {few}", flush=True)
    return Figures.mean(plain), Figures.mean(balanced), earlier(f"{name}|u{few}", seeds(known)), Figures.mean(now)
