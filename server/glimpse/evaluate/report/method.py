"""How it was measured, so that it can be repeated."""

import shlex
from collections.abc import Iterator
from html import escape
from importlib.metadata import version

from glimpse.evaluate.data.splits import MOST_SEEDS_BESIDE, most_queries
from glimpse.evaluate.evaluation import Evaluation, Plan
from glimpse.fewshot import Policy


def method(evaluation: Evaluation) -> str:
    """A list in HTML."""
    told = (*_data(evaluation), *_figures(evaluation), *_strangers(evaluation), *_domains(evaluation))
    items = "".join(f"<li>{item}</li>" for item in told)
    return f"<p><code>{escape(command(evaluation.plan))}</code></p><ul>{items}</ul>"


def command(plan: Plan) -> str:
    """What was asked for, but for where to put it."""
    words = ["glimpse", "evaluate", str(plan.data)]
    for backbone in plan.backbones:
        words += ["--backbone", backbone]
    words += ["--shots", ",".join(map(str, plan.shots)), "--seeds", str(plan.seeds)]
    for head in plan.pinned:
        words += ["--head", head.value.replace("_", "-")]
    words += ["--unknown", str(plan.unknown)] if plan.unknown else []
    for role in ("label", "text", "path", "domain"):
        words += [f"--{role}-column", name] if (name := getattr(plan.columns, role)) else []
    words += ["--allow-outside"] if plan.allow_outside else []
    return shlex.join([*words, *(["--domains"] if plan.domains else [])])


def _data(evaluation: Evaluation) -> Iterator[str]:
    data, most = evaluation.dataset, most_queries(len(evaluation.dataset.labels))
    yield (
        f"{len(data):,} {data.kind}s of {len(data.labels):,} labels from {escape(str(evaluation.plan.data))}; Glimpse "
        f"{escape(version('glimpse-fewshot'))}; {evaluation.seconds:.0f} s in all."
    )
    for bundle in evaluation.bundles:
        effort, manifest = evaluation.embedded.efforts[bundle.manifest.name], bundle.manifest
        yield (
            f"{escape(manifest.name)}: {manifest.dimension} dimensions, {manifest.precision}, embedding space "
            f"{manifest.embedding_space}; {effort.encoded:,} inputs encoded in {effort.seconds:.1f} s, "
            f"{effort.cached:,} taken from the cache."
        )
    yield (
        f"For each seed, so many examples a label are drawn and the others are asked about, at most {most} a label. "
        "A label with too few gives all inputs but one as examples. Draws are the same for every backbone and head."
    )


def _figures(evaluation: Evaluation) -> Iterator[str]:
    yield (
        f"Figures are means over {evaluation.plan.seeds} seeds in percent, ± half of a 95 % interval by Student’s t: "
        "how much the draw of examples matters. Without examples the inputs are split into as many parts instead."
    )
    yield (
        "Heads: auto is what a collection does by itself; +text has labels’ names as prompts, each counting as two "
        "examples. Answered by: the heads that it came to."
    )
    yield "Balanced: the mean over labels of the part of their inputs called right."
    yield (
        "Left out: the accuracy a collection tells of itself, each example asked of the others. It has an example "
        "fewer to go by, and so is often a little under what is found."
    )
    yield "ECE: the mean gap between an answer’s probability and how often such answers are right, in 15 bins."
    yield (
        f"Set holds: how often the prediction set, of the labels that are probable enough, has the right one, for a "
        f"target of {_policy(evaluation).coverage:.0%}; set size: how many labels it has. None is made from too few "
        "examples."
    )


def _strangers(evaluation: Evaluation) -> Iterator[str]:
    target = _policy(evaluation).false_reject
    yield (
        "UNKNOWN among inputs of known labels is wrong: a policy’s target is "
        f"{target:.0%}, from about {round(1 / target)} examples on; with fewer, a cosine set by the backbone decides."
    )
    yield (
        "Caught: strangers called UNKNOWN. AUROC: how often an input of a known label fits better than a stranger; "
        "beside it, by the cosine to the nearest label’s mean, and by the greatest softmax of these cosines."
    )
    if evaluation.held_out:
        yield (
            "Labels withheld: no strangers were given, so a third of the labels, drawn anew, is left out, and what was "
            "to be asked of them are the strangers: often harder than what comes by accident. Expected: the part that "
            "the collection itself would expect to catch, by leaving out each of its labels in turn. For this at most "
            f"{MOST_SEEDS_BESIDE} seeds are drawn."
        )


def _domains(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.domain_shifts:
        yield (
            "Domains: by LDA, or the nearest class mean where no label has two examples, over at most "
            f"{MOST_SEEDS_BESIDE} seeds."
        )


def _policy(evaluation: Evaluation) -> Policy:
    return next(iter(evaluation.embedded.datasets.values())).terms.policy
