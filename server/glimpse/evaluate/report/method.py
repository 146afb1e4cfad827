"""Describes how the evaluation was done, so that it can be repeated."""

import shlex
from collections.abc import Iterator
from html import escape
from importlib.metadata import version

from glimpse.evaluate.data.splits import MOST_SEEDS_BESIDE, most_queries
from glimpse.evaluate.evaluation import Evaluation
from glimpse.evaluate.plan import Plan
from glimpse.fewshot import Policy


def method(evaluation: Evaluation) -> str:
    """Returns the description as an HTML list."""
    paragraphs = (*_data(evaluation), *_figures(evaluation), *_unknown(evaluation), *_more(evaluation))
    items = "".join(f"<li>{item}</li>" for item in paragraphs)
    return f"<p><code>{escape(command(evaluation.plan))}</code></p><ul>{items}</ul>"


def command(plan: Plan) -> str:
    """Returns the command line that repeats the evaluation, without the output folder."""
    words = ["glimpse", "evaluate", str(plan.data)]
    for backbone in plan.backbones:
        words += ["--backbone", backbone]
    words += ["--shots", ",".join(map(str, plan.shots)), "--seeds", str(plan.seeds)]
    for head in plan.pinned:
        words += ["--head", head.value.replace("_", "-")]
    words += ["--unknown", str(plan.unknown)] if plan.unknown else []
    for role in ("label", "text", "path", "domain", "group"):
        words += [f"--{role}-column", name] if (name := getattr(plan.columns, role)) else []
    words += ["--group-depth", str(plan.group_depth)] if plan.group_depth else []
    words += ["--allow-outside"] if plan.allow_outside else []
    words += ["--baseline"] if plan.baseline else []
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
        f"For each seed the examples are drawn at random, and at most {most} other inputs per label are predicted. "
        "A label with too few inputs uses all but one as examples. Draws are the same for every backbone and head."
    )


def _figures(evaluation: Evaluation) -> Iterator[str]:
    yield (
        f"Figures are means over {evaluation.plan.seeds} seeds in percent, ± half of a 95 % interval by Student’s t: "
        "how much the draw of examples matters. Without examples the inputs are split into as many parts instead."
    )
    yield (
        "Heads: auto is the head that a collection selects; +text adds labels’ names as prompts, each counting as two "
        "examples. Answered by: the heads that answered."
    )
    yield "Balanced: the mean recall over labels."
    yield (
        "Left out: the accuracy that a collection reports, each example predicted from the others. It uses one example "
        "fewer, so it is often a little lower than the accuracy."
    )
    yield "ECE: expected calibration error, the mean gap between probability and accuracy, in 15 bins."
    yield (
        f"Set holds: how often the prediction set contains the right label, for a target of "
        f"{_policy(evaluation).coverage:.0%}; set size: its number of labels. With too few examples there is no set."
    )


def _unknown(evaluation: Evaluation) -> Iterator[str]:
    target = _policy(evaluation).false_reject
    yield (
        "UNKNOWN for an input of a known label is wrong. The policy’s target is "
        f"{target:.0%}, from about {round(1 / target)} examples on; with fewer, a cosine set by the backbone decides."
    )
    yield (
        "Caught: unknown inputs called UNKNOWN. AUROC: how often a known input fits better than an unknown one; beside "
        "it, by the cosine to the nearest label’s mean, and by the greatest softmax of these cosines."
    )
    if evaluation.held_out:
        yield (
            "Held-out labels: no unknown inputs were given, so each trial holds out a random third of the labels and "
            "uses their inputs as unknown ones. They are often harder than unknown inputs in practice. Expected: the "
            "rate that the collection expects to catch, by leaving out each of its labels. At most "
            f"{MOST_SEEDS_BESIDE} seeds are used."
        )


def _more(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.transfer:
        features = (
            "the pixels of each picture at 16 × 16, less their mean"
            if evaluation.dataset.kind == "image"
            else "the words of each text, hashed to 2,048 places, by 1 + log of their counts"
        )
        yield (
            f"No transfer: {features}, scaled to length 1. Start, slope and asymptote: Torrey and Shavlik 2009. The "
            "slope is that of least squares over the logarithm of the examples. Differences are taken within seeds."
        )
    if evaluation.domain_shifts:
        yield (
            "Domains: by LDA, or the nearest class mean if no label has two examples, over at most "
            f"{MOST_SEEDS_BESIDE} seeds."
        )


def _policy(evaluation: Evaluation) -> Policy:
    return next(iter(evaluation.embedded.datasets.values())).settings.policy
