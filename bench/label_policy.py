"""Measures whether labels keep their own rates of false rejects, and what expected costs save.

    python -m bench.label_policy [--draws N] [--set NAME ...] [--data DIR] [--out DIR]

A draw enrolls 20 examples of each label of a set; its queries are all other inputs of these labels, so that 20 examples
of each label are left out. MobileNet V2 embeds pictures, all-MiniLM-L6-v2 embeds texts.

- False rejects: the part of a label's queries that are UNKNOWN, mean of the draws, at a target of 5 %. "Pooled" is the
  rate of the collection, "own" the same rate as a policy of each label. A label is over if its rate is over 10 %, and
  surely over if the 95 % Wilson interval of the rate is, with as many trials as the label has inputs, because draws
  share them. In a single draw the rate of a label varies by 4.5 points, the standard deviation with 20 examples.
- Costs: to miss one of a random tenth of the labels (one at least) costs 10, another mistake 1. The mean cost of the
  best label as the answer, by probability and by expected cost, of all queries.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import SETTINGS, best_labels, draw
from bench.fewshot.figures import engine_numbers
from bench.fewshot.sets import known_labels, load
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Labelled
from glimpse.fewshot import Decision, DecisionSettings, LabelPolicy, Policy, Predictions
from glimpse.fewshot.statistics.confidence_interval import wilson_interval

_SHOTS, _RATE, _COST = 20, 0.05, 10.0
# Caltech101 leaves five queries of each label in a draw.
_DRAWS = {"banking77": 5, "caltech101": 36}
_MORE_DRAWS = 12
_SETS = (
    "sms_spam",
    "trec",
    "pacs/photo",
    "pacs/art_painting",
    "pacs/cartoon",
    "sign_digits",
    "caltech101",
    "banking77",
)


@dataclass(frozen=True)
class SetFigures:
    """The figures of one set. Rates and counts of labels come for the pooled rate and for own rates."""

    name: str
    labels: int
    draws: int
    inputs: int
    mean: tuple[float, float]
    highest: tuple[float, float]
    over: tuple[int, int]
    surely_over: tuple[int, int]
    cost: tuple[float, float]

    @classmethod
    def of(cls, name: str, whole: Labelled, draws: int) -> "SetFigures":
        known = known_labels((whole, whole))
        each = []
        for seed in range(draws):
            print(f"{name}: draw {seed + 1} of {draws}", flush=True)
            each.append(engine_numbers(f"label-policy-{name}-{seed}", _figures, whole, known, seed))
        numbers = np.array(each)
        counts = (
            numbers[:, :-2].reshape(draws, 3, len(known)).sum(0)
        )  # queries, UNKNOWN by the pooled rate, by own ones
        rates = counts[1:] / counts[0]
        inputs = [int((whole.labels == label).sum()) for label in known]
        low = [[wilson_interval(rate * n, n)[0] for rate, n in zip(row, inputs, strict=True)] for row in rates]
        over, surely_over = (rates > 2 * _RATE).sum(1), (np.array(low) > 2 * _RATE).sum(1)
        return cls(
            name,
            len(known),
            draws,
            min(inputs),
            (float(rates[0].mean()), float(rates[1].mean())),
            (float(rates[0].max()), float(rates[1].max())),
            (int(over[0]), int(over[1])),
            (int(surely_over[0]), int(surely_over[1])),
            (float(numbers[:, -2].mean()), float(numbers[:, -1].mean())),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, help="draws of each set")
    parser.add_argument("--set", nargs="+", choices=_SETS, default=_SETS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with threadpool_limits(1):
        figures = [
            SetFigures.of(name, _whole(options.data, name), options.draws or _DRAWS.get(name, _MORE_DRAWS))
            for name in options.set
        ]
    head = page_head("Policies of labels", "bench.label_policy")
    record = {"sets": [asdict(one) for one in figures]}
    conditions = {"shots": str(_SHOTS), "target": f"{100 * _RATE:.0f} %"}
    targets = ("Targets", _targets(figures))
    write_tables(options.out / "label_policy", head, _sections(figures), targets, record, conditions)


def _sections(figures: Sequence[SetFigures]) -> list[Section]:
    rates, costs = [], []
    for one in figures:
        percents = [f"{100 * value:.1f}" for pair in (one.mean, one.highest) for value in pair]
        counts = [str(value) for pair in (one.over, one.surely_over) for value in pair]
        rates.append([one.name, str(one.labels), str(one.draws), str(one.inputs), *percents, *counts])
        saved = 100 * (1 - one.cost[1] / one.cost[0])
        costs.append([one.name, f"{one.cost[0]:.3f}", f"{one.cost[1]:.3f}", f"{saved:.0f}"])
    columns = ["set", "labels", "draws", "fewest inputs", "mean, pooled", "own", "highest, pooled", "own"]
    more = ["labels over, pooled", "own", "surely over, pooled", "own"]
    return [
        ("False rejects of labels at a target of 5 %: %, and labels over 10 %", [*columns, *more], rates),
        ("Mean cost of an answer", ["set", "by probability", "by expected cost", "saved, %"], costs),
    ]


def _targets(figures: Sequence[SetFigures]) -> list[Target]:
    targets = [Target(f"{one.name}: labels over twice the target", one.over[1], "<=", 0) for one in figures]
    targets += [Target(f"{one.name}: labels surely over it", one.surely_over[1], "<=", 0) for one in figures]
    return targets + [Target(f"{one.name}: cost by expected cost", one.cost[1], "<=", one.cost[0]) for one in figures]


def _whole(data: Path, name: str) -> Labelled:
    """Returns all inputs of a set, to draw examples from and to ask."""
    support, queries = load(data, name)
    if support is queries:
        return support
    parts = (support, queries)
    return Labelled(np.concatenate([one.vectors for one in parts]), np.concatenate([one.labels for one in parts]))


def _figures(whole: Labelled, known: Sequence[str], seed: int) -> list[float]:
    """Returns, of each label, its queries and how many are UNKNOWN by the pooled rate and by own ones; then the two
    mean costs.
    """
    drawn = draw((whole, whole), known, _SHOTS, seed)
    truth = drawn.queries.labels

    def ask(policy: Policy) -> Predictions:
        return drawn.ask(drawn.queries.vectors, terms=DecisionSettings(policy, SETTINGS.prompt_scale))

    def per_label(of: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[float]:
        return [float(of[truth == label].sum()) for label in known]

    pooled = ask(Policy(false_reject=_RATE))
    own = ask(Policy(labels={label: LabelPolicy(false_reject=_RATE) for label in known}))
    unknown = [np.array([one.decision is Decision.UNKNOWN for one in answers.predictions]) for answers in (pooled, own)]
    dear = set(np.random.default_rng(seed).permutation(known)[: max(1, len(known) // 10)].tolist())
    costs = {(missed, answer): _COST for missed in dear for answer in known if answer not in dear}
    mean_costs = [
        float(np.mean([_cost(pair, costs) for pair in zip(truth.tolist(), best_labels(answers), strict=True)]))
        for answers in (pooled, ask(Policy(mistake_costs=costs)))
    ]
    return [*per_label(np.ones(len(truth), np.bool_)), *per_label(unknown[0]), *per_label(unknown[1]), *mean_costs]


def _cost(pair: tuple[str, str], costs: dict[tuple[str, str], float]) -> float:
    return 0.0 if pair[0] == pair[1] else costs.get(pair, 1.0)


if __name__ == "__main__":
    main()
