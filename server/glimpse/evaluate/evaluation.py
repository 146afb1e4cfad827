"""The whole of it: read, embed once, try every backbone, head and number of shots over seeds, and say what came out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glimpse.backbone import Bundle, ImageLimits, limit_libraries, open_bundle
from glimpse.evaluate.data.dataset import Dataset, usable_inputs
from glimpse.evaluate.data.dataset_readers import read_dataset, read_unknown_inputs
from glimpse.evaluate.data.embeddings import EmbeddedDatasets, ProgressFactory, embed_datasets
from glimpse.evaluate.data.encoders import check_reads
from glimpse.evaluate.data.splits import MOST_SEEDS_BESIDE, Split, folds, split
from glimpse.evaluate.errors import EvaluationError
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.comparison import Difference, Key, compared_head, differences, summary
from glimpse.evaluate.figures.confusions import Confusions
from glimpse.evaluate.trials.domain_shift import DomainShift, check_domains, domain_shifts
from glimpse.evaluate.trials.held_out_labels import FEWEST_LABELS, FEWEST_SHOTS, evaluate_held_out
from glimpse.evaluate.trials.trial import Contender, run
from glimpse.fewshot import HeadKind
from glimpse.inputs import Columns

# Labels' names speak for these heads beside examples; without any example they all are the prompts.
_WITH_TEXT = {None, HeadKind.CLASS_MEAN, HeadKind.LDA}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate.

    Attributes:
        pinned: Heads to try beside the ladder's own choice.
        allow_outside: Whether tables may name files outside of their folders.
    """

    data: Path
    backbones: Sequence[str]
    shots: Sequence[int]
    seeds: int
    cache: Path
    pinned: Sequence[HeadKind] = ()
    unknown: Path | None = None
    domains: bool = False
    columns: Columns = field(default_factory=Columns)
    allow_outside: bool = False
    limits: ImageLimits = field(default_factory=ImageLimits)


@dataclass(slots=True)
class Evaluation:
    """What came out."""

    plan: Plan
    dataset: Dataset
    bundles: Sequence[Bundle]
    embedded: EmbeddedDatasets
    #: The shots that could be had, ascending.
    shots: Sequence[int]
    results: dict[Key, AggregatedResult] = field(default_factory=dict)
    #: Of each backbone, in the cell it is compared by at the most shots.
    confusions: dict[str, Confusions] = field(default_factory=dict)
    #: With strangers made by withholding labels, where none were given.
    held_out: list[AggregatedResult] = field(default_factory=list)
    domain_shifts: list[DomainShift] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    summary: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def evaluate(plan: Plan, watch: ProgressFactory) -> Evaluation:
    """Runs it. Raises EvaluationError, BundleError, OSError."""
    start = time.perf_counter()
    limit_libraries()
    columns, outside = plan.columns, plan.allow_outside
    dataset, read_notes = read_dataset(
        plan.data, columns, with_domains=plan.domains, without=plan.unknown, allow_outside=outside
    )
    unknown = None
    if plan.unknown:
        unknown, more = read_unknown_inputs(plan.unknown, columns, dataset.kind, allow_outside=outside)
        read_notes += more
    bundles = _bundles(plan, dataset)
    try:
        usable_inputs(dataset)  # before the work
    except EvaluationError as error:  # inputs that cannot be used may be the reason
        raise EvaluationError("; ".join((str(error), *read_notes)), error.next_step) from error
    if plan.domains:
        check_domains(dataset.domains)
    embedded = embed_datasets(dataset, unknown, bundles, plan.cache, watch, plan.limits)
    shots, notes = _possible(plan, embedded.dataset, bundles)
    found = Evaluation(plan, embedded.dataset, bundles, embedded, shots, notes=[*read_notes, *embedded.notes, *notes])
    for bundle in bundles:
        _try_all(found, bundle, watch)
        if not plan.unknown:
            _try_withheld(found, bundle, watch)
        if plan.domains:
            _try_domains(found, bundle, watch)
    names = [bundle.manifest.name for bundle in bundles]
    found.notes = list(dict.fromkeys(found.notes))
    found.differences = differences(found.results, names, shots)
    found.summary = summary(found.results, names, shots)
    found.seconds = time.perf_counter() - start
    return found


def _bundles(plan: Plan, dataset: Dataset) -> list[Bundle]:
    bundles = [open_bundle(name) for name in plan.backbones]
    names = [bundle.manifest.name for bundle in bundles]
    if twice := [name for name in names if names.count(name) > 1]:
        raise EvaluationError(f"two bundles have the name {twice[0]!r}", "export one of them under another")
    for bundle in bundles:
        check_reads(bundle, dataset.kind)
    return bundles


def _possible(plan: Plan, dataset: Dataset, bundles: Sequence[Bundle]) -> tuple[list[int], list[str]]:
    """The shots that some label has, beside one to ask about; and what to say of the others."""
    counts, notes, kept = np.bincount(dataset.rows), [], []
    for shots in sorted(set(plan.shots)):
        enough = int((counts > shots).sum())
        if not enough:
            notes.append(f"shots {shots}: left out, as no label has more than {counts.max()} inputs")
            continue
        kept.append(shots)
        if enough < len(counts):
            few = len(counts) - enough
            notes.append(f"shots {shots}: {few} of {len(counts)} labels have too few, and give all inputs but one")
    if 0 in kept and (wordless := [one.manifest.name for one in bundles if not one.manifest.text]):
        reads = "which reads no text and so has" if len(wordless) == 1 else "which read no text and so have"
        notes.append(f"shots 0: left out for {', '.join(wordless)}, {reads} no prompts")
        if len(wordless) == len(bundles):
            kept.remove(0)
    if not kept:
        raise EvaluationError("; ".join(notes), "ask for other --shots")
    return kept, notes


def contenders(pinned: Sequence[HeadKind], shots: int, has_text: bool) -> list[Contender]:
    """The heads to try at a number of shots, with labels' names and without."""
    if not shots:
        return [Contender(None, text=True)] if has_text else []
    heads = (None, *pinned)
    found = [Contender(head) for head in heads if head is not HeadKind.PROMPTS]
    if has_text:
        found += [Contender(head, text=True) for head in heads if head in _WITH_TEXT or head is HeadKind.PROMPTS]
    return found


def _try_all(found: Evaluation, bundle: Bundle, watch: ProgressFactory) -> None:
    name, material = bundle.manifest.name, found.embedded.datasets[bundle.manifest.name]
    tried = {shots: contenders(found.plan.pinned, shots, material.prompts is not None) for shots in found.shots}
    most = max((shots for shots, some in tried.items() if some), default=0)
    confusions = found.confusions[name] = Confusions()
    with watch(f"{name}: trials", sum(map(len, tried.values())) * found.plan.seeds) as advance:
        for shots, some in tried.items():
            splits = _splits(found, shots)
            for contender in some:
                cell = found.results[name, contender.name, shots] = AggregatedResult(name, contender, shots)
                for seed, one in enumerate(splits):
                    outcome, truth = run(material, contender, one), material.rows[one.queries]
                    cell.add(seed, outcome, truth, material.terms.policy)
                    if shots == most and contender.name == compared_head(shots):
                        confusions.add(one, outcome.queries, truth)
                    advance(1)
                if not cell.answered():
                    del found.results[name, contender.name, shots]
                    found.notes.append(f"shots {shots}: {contender.name} left out, as it needs more examples")


def _splits(found: Evaluation, shots: int) -> list[Split]:
    rows, seeds = found.dataset.rows, found.plan.seeds
    return [split(rows, shots, seed) for seed in range(seeds)] if shots else folds(rows, seeds)


def _try_withheld(found: Evaluation, bundle: Bundle, watch: ProgressFactory) -> None:
    name, seeds = bundle.manifest.name, min(found.plan.seeds, MOST_SEEDS_BESIDE)
    tried = [shots for shots in found.shots if shots >= FEWEST_SHOTS]
    if not tried or len(found.dataset.labels) < FEWEST_LABELS:
        return
    with watch(f"{name}: labels withheld", len(tried) * seeds) as advance:
        for shots in tried:
            splits = [split(found.dataset.rows, shots, seed) for seed in range(seeds)]
            found.held_out.append(evaluate_held_out(name, found.embedded.datasets[name], shots, splits, advance))


def _try_domains(found: Evaluation, bundle: Bundle, watch: ProgressFactory) -> None:
    most = max(found.shots)
    if not most:
        return
    name, data, seeds = bundle.manifest.name, found.dataset, min(found.plan.seeds, MOST_SEEDS_BESIDE)
    with watch(f"{name}: domains", seeds * len(data.domains)) as advance:
        material = found.embedded.datasets[name]
        found.domain_shifts += domain_shifts(name, material, data.domains, data.domain_rows, most, seeds, advance)
