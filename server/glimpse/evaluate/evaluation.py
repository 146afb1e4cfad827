"""Runs an evaluation: reads the data, embeds it once, tries backbones, heads and numbers of shots, and summarises."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from glimpse.backbone import Bundle, limit_libraries, open_bundle
from glimpse.evaluate.data.dataset import Dataset, usable_inputs
from glimpse.evaluate.data.dataset_readers import read_dataset, read_unknown_inputs
from glimpse.evaluate.data.embeddings import EmbeddedDatasets, ProgressFactory, embed_datasets
from glimpse.evaluate.data.encoders import check_reads
from glimpse.evaluate.data.splits import MOST_SEEDS_BESIDE, Split, folds, split
from glimpse.evaluate.data.untrained_features import UntrainedFeatures
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.comparison import Difference, Key, compared_head, differences, summary
from glimpse.evaluate.figures.confusions import Confusions
from glimpse.evaluate.figures.transfer import TransferBenefits, transfer_benefits
from glimpse.evaluate.plan import Plan
from glimpse.evaluate.trials.domain_shift import DomainShift, check_domains, domain_shifts
from glimpse.evaluate.trials.held_out_labels import FEWEST_LABELS, FEWEST_SHOTS, evaluate_held_out
from glimpse.evaluate.trials.no_transfer import baseline_dataset, run_baseline
from glimpse.evaluate.trials.parallel import run_parallel
from glimpse.evaluate.trials.trial import Contender, run
from glimpse.fewshot import HeadKind

# The heads into which labels' names are blended as prompts; without examples every head is the prompts.
_WITH_TEXT = {None, HeadKind.CLASS_MEAN, HeadKind.LDA}


@dataclass(slots=True)
class Evaluation:
    """The results of an evaluation."""

    plan: Plan
    dataset: Dataset
    bundles: Sequence[Bundle]
    embedded: EmbeddedDatasets
    #: The numbers of shots that the data allow, ascending.
    shots: Sequence[int]
    results: dict[Key, AggregatedResult] = field(default_factory=dict)
    #: By backbone: the confusions of the compared head at the most shots.
    confusions: dict[str, Confusions] = field(default_factory=dict)
    #: Results with held-out labels as unknown inputs, if no unknown inputs were given.
    held_out: list[AggregatedResult] = field(default_factory=list)
    domain_shifts: list[DomainShift] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    #: The results without transfer by the number of shots, and what each backbone gains over them.
    baseline: dict[int, AggregatedResult] = field(default_factory=dict)
    transfer: list[TransferBenefits] = field(default_factory=list)
    summary: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def evaluate(plan: Plan, progress: ProgressFactory) -> Evaluation:
    """Runs an evaluation.

    Args:
        plan: the settings.
        watch: starts a progress bar from a title and a total.

    Raises:
        EvaluationError: the data or the plan cannot be evaluated.
        BundleError: a backbone cannot be opened.
        OSError: a file cannot be read or written.
    """
    start = time.perf_counter()
    limit_libraries()
    columns, outside = plan.columns, plan.allow_outside
    dataset, read_notes = read_dataset(
        plan.data,
        columns,
        with_domains=plan.domains,
        without=plan.unknown,
        allow_outside=outside,
        group_depth=plan.group_depth,
    )
    unknown = None
    if plan.unknown:
        unknown, more = read_unknown_inputs(plan.unknown, columns, dataset.kind, allow_outside=outside)
        read_notes += more
    bundles = _bundles(plan, dataset)
    try:
        usable_inputs(dataset)  # fail before the expensive work
    except EvaluationError as error:  # unusable inputs may be the reason
        raise EvaluationError("; ".join((str(error), *read_notes)), error.next_step) from error
    if plan.domains:
        check_domains(dataset.domains)
    embedded = embed_datasets(dataset, unknown, bundles, plan.cache, progress, plan.limits)
    shots, notes = _possible(plan, embedded.dataset, bundles)
    if (groups := embedded.dataset.groups) is not None:
        count = len(np.unique(groups))
        notes.append(f"{count:,} groups, counting an input in none as one: no group is on both sides of a draw")
    evaluation = Evaluation(
        plan, embedded.dataset, bundles, embedded, shots, notes=[*read_notes, *embedded.notes, *notes]
    )
    for bundle in bundles:
        _try_all(evaluation, bundle, progress)
        if not plan.unknown:
            _try_held_out(evaluation, bundle, progress)
        if plan.domains:
            _try_domains(evaluation, bundle, progress)
    if plan.baseline:
        _try_baseline(evaluation, progress)
    names = [bundle.manifest.name for bundle in bundles]
    evaluation.notes = list(dict.fromkeys(evaluation.notes))
    evaluation.differences = differences(evaluation.results, names, shots)
    evaluation.summary = summary(evaluation.results, names, shots)
    evaluation.seconds = time.perf_counter() - start
    return evaluation


def _bundles(plan: Plan, dataset: Dataset) -> list[Bundle]:
    bundles = [open_bundle(name) for name in plan.backbones]
    names = [bundle.manifest.name for bundle in bundles]
    if duplicates := [name for name in names if names.count(name) > 1]:
        raise EvaluationError(f"two bundles have the name {duplicates[0]!r}", "export one of them under another name")
    for bundle in bundles:
        check_reads(bundle, dataset.kind)
    return bundles


def _possible(plan: Plan, dataset: Dataset, bundles: Sequence[Bundle]) -> tuple[list[int], list[str]]:
    """Returns the shots that some label has with one input left to predict, and notes on the others."""
    counts, notes, kept = np.bincount(dataset.rows), [], []
    for shots in sorted(set(plan.shots)):
        enough = int((counts > shots).sum())
        if not enough:
            notes.append(f"shots {shots}: left out, as no label has more than {counts.max()} inputs")
            continue
        kept.append(shots)
        if enough < len(counts):
            few = len(counts) - enough
            notes.append(
                f"shots {shots}: {few} of {len(counts)} labels have too few inputs and use all but one as examples"
            )
    if 0 in kept and (without_text := [one.manifest.name for one in bundles if not one.manifest.text]):
        reads = "which reads no text and has" if len(without_text) == 1 else "which read no text and have"
        notes.append(f"shots 0: left out for {', '.join(without_text)}, {reads} no prompts")
        if len(without_text) == len(bundles):
            kept.remove(0)
    if not kept:
        raise EvaluationError("; ".join(notes), "choose other --shots")
    return kept, notes


def contenders(pinned: Sequence[HeadKind], shots: int, has_text: bool) -> list[Contender]:
    """Returns the heads to try at a number of shots, with labels' names as prompts and without."""
    if not shots:
        return [Contender(None, text=True)] if has_text else []
    heads = (None, *pinned)
    evaluation = [Contender(head) for head in heads if head is not HeadKind.PROMPTS]
    if has_text:
        evaluation += [Contender(head, text=True) for head in heads if head in _WITH_TEXT or head is HeadKind.PROMPTS]
    return evaluation


def _try_all(evaluation: Evaluation, bundle: Bundle, progress: ProgressFactory) -> None:
    name, dataset = bundle.manifest.name, evaluation.embedded.datasets[bundle.manifest.name]
    attempts = {
        shots: contenders(evaluation.plan.pinned, shots, dataset.prompts is not None) for shots in evaluation.shots
    }
    most = max((shots for shots, some in attempts.items() if some), default=0)
    confusions = evaluation.confusions[name] = Confusions()
    with progress(f"{name}: trials", sum(map(len, attempts.values())) * evaluation.plan.seeds) as advance:
        for shots, some in attempts.items():
            splits = draws(evaluation, shots)
            for contender in some:
                result = evaluation.results[name, contender.name, shots] = AggregatedResult(name, contender, shots)
                outcomes = run_parallel(partial(run, dataset, contender), splits)
                for seed, (one, outcome) in enumerate(zip(splits, outcomes, strict=True)):
                    truth = dataset.rows[one.queries]
                    result.add(seed, outcome, truth, dataset.settings.policy)
                    if shots == most and contender.name == compared_head(shots):
                        confusions.add(one, outcome.queries, truth)
                    advance(1)
                if not result.answered():
                    del evaluation.results[name, contender.name, shots]
                    evaluation.notes.append(f"shots {shots}: {contender.name} left out, as it needs more examples")


def draws(evaluation: Evaluation, shots: int) -> list[Split]:
    """Returns the examples and queries of each seed at a number of shots."""
    rows, seeds = evaluation.dataset.rows, evaluation.plan.seeds
    groups = evaluation.dataset.groups
    return [split(rows, shots, seed, groups) for seed in range(seeds)] if shots else folds(rows, seeds)


def _try_baseline(evaluation: Evaluation, progress: ProgressFactory) -> None:
    """Runs the trials without transfer. Without an example there is nothing to learn from."""
    splits = {shots: draws(evaluation, shots) for shots in evaluation.shots if shots}
    if not splits:
        evaluation.notes.append("no baseline: without transfer, labels need examples")
        return
    plan, data = evaluation.plan, evaluation.dataset
    features = UntrainedFeatures(data.kind, plan.limits)
    with progress(f"{features.name}: reading", len(data)) as advance:
        dataset = baseline_dataset(data, features, plan.cache, advance)
    with progress(f"{features.name}: trials", len(splits) * plan.seeds) as advance:
        evaluation.baseline = run_baseline(features.name, dataset, splits, advance)
    for bundle in evaluation.bundles:
        if benefits := transfer_benefits(bundle.manifest.name, evaluation.results, evaluation.baseline):
            evaluation.transfer.append(benefits)


def _try_held_out(evaluation: Evaluation, bundle: Bundle, progress: ProgressFactory) -> None:
    name, seeds = bundle.manifest.name, min(evaluation.plan.seeds, MOST_SEEDS_BESIDE)
    attempts = [shots for shots in evaluation.shots if shots >= FEWEST_SHOTS]
    if not attempts or len(evaluation.dataset.labels) < FEWEST_LABELS:
        return
    with progress(f"{name}: held-out labels", len(attempts) * seeds) as advance:
        for shots in attempts:
            splits = draws(evaluation, shots)[:seeds]
            evaluation.held_out.append(
                evaluate_held_out(name, evaluation.embedded.datasets[name], shots, splits, advance)
            )


def _try_domains(evaluation: Evaluation, bundle: Bundle, progress: ProgressFactory) -> None:
    most = max(evaluation.shots)
    if not most:
        return
    name, data, seeds = bundle.manifest.name, evaluation.dataset, min(evaluation.plan.seeds, MOST_SEEDS_BESIDE)
    with progress(f"{name}: domains", seeds * len(data.domains)) as advance:
        dataset = evaluation.embedded.datasets[name]
        evaluation.domain_shifts += domain_shifts(name, dataset, data.domains, data.domain_rows, most, seeds, advance)
