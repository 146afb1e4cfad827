"""All results as one JSON object."""

from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

from glimpse.backbone import Bundle
from glimpse.evaluate.data.splits import most_queries
from glimpse.evaluate.evaluation import Evaluation
from glimpse.evaluate.figures.aggregation import AggregatedResult, Histogram, TrialMetrics
from glimpse.evaluate.figures.comparison import compared_head
from glimpse.evaluate.figures.metrics import BINS, Interval
from glimpse.evaluate.figures.transfer import Benefit, TransferBenefits
from glimpse.evaluate.trials.domain_shift import FORCED, GATE, OFF, DomainShift
from glimpse.evaluate.trials.held_out_labels import held_out_labels

#: Increases when a key changes its meaning or is removed.
FORMAT_VERSION = 1
#: The columns of a table of results, with one row per backbone, head and number of shots.
RESULT_FIELDS = (
    *("backbone", "head", "shots", "answered_by"),
    *(f"{figure.name}.{part}" for figure in fields(TrialMetrics) for part in ("mean", "low", "high", "trials")),
)


def record(evaluation: Evaluation) -> dict[str, Any]:
    """Returns plain values: fractions in [0, 1], 95 % intervals, None if not measured."""
    plan, labels = evaluation.plan, evaluation.dataset.labels
    return {
        "format_version": FORMAT_VERSION,
        "glimpse_version": version("glimpse-fewshot"),
        "verdict": evaluation.summary,
        "notes": evaluation.notes,
        "data": _data(evaluation),
        "settings": {
            "shots": list(evaluation.shots),
            "seeds": plan.seeds,
            "queries_a_label": most_queries(len(labels)),
            "reliability_bins": BINS,
        },
        "backbones": [_backbone(evaluation, bundle) for bundle in evaluation.bundles],
        "results": [_result(result) for result in evaluation.results.values()],
        "labels_withheld": [_held_out(evaluation, result) for result in evaluation.held_out],
        "differences": [
            {
                "first": one.first,
                "second": one.second,
                "head": one.head,
                "shots": one.shots,
                "accuracy": interval(one.accuracy),
                "clear": one.clear,
            }
            for one in evaluation.differences
        ],
        "baseline": [_result(result) for result in evaluation.baseline.values()],
        "transfer": [_transfer(one) for one in evaluation.transfer],
        "domains": [_across(one) for one in evaluation.domain_shifts],
        "mistakes": {name: _mistakes(evaluation, name) for name in evaluation.confusions},
        "seconds": evaluation.seconds,
    }


def interval(of: Interval | None) -> dict[str, Any] | None:
    """Returns a metric over the trials."""
    return None if of is None else {"mean": of.mean, "low": of.low, "high": of.high, "trials": of.count}


def _data(evaluation: Evaluation) -> dict[str, Any]:
    plan, data = evaluation.plan, evaluation.dataset
    unknown = {"source": str(plan.unknown), "inputs": evaluation.embedded.unknown} if plan.unknown else None
    return {
        "source": str(plan.data),
        "kind": data.kind,
        "inputs": len(data),
        "labels": list(data.labels),
        "domains": list(data.domains),
        "unreadable": dict(evaluation.embedded.unreadable),
        "strangers": unknown,  # plain-english: stored name
    }


def _backbone(evaluation: Evaluation, bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    policy = evaluation.embedded.datasets[manifest.name].settings.policy
    return {
        "name": manifest.name,
        "path": str(bundle.path),
        "embedding_space": manifest.embedding_space,
        "dimension": manifest.dimension,
        "precision": manifest.precision,
        "modalities": list(manifest.modalities),
        "policy": {
            "false_reject": policy.false_reject,
            "coverage": policy.coverage,
            "default_threshold": policy.default_threshold,
        },
        "embedding": asdict(evaluation.embedded.efforts[manifest.name]),
    }


def _result(result: AggregatedResult) -> dict[str, Any]:
    return {
        "backbone": result.backbone,
        "head": result.contender.name,
        "shots": result.shots,
        "answered_by": dict(result.heads),
        **{name: interval(value) for name, value in result.summary().items()},
        "trials": [{"seed": seed, **asdict(figures)} for seed, figures in result.trials.items()],
        "reliability": [
            {
                "low": i / BINS,
                "high": (i + 1) / BINS,
                "count": int(count),
                "probability": sure / count,
                "right": ok / count,
            }
            for i, (count, sure, ok) in enumerate(result.bins.tolist())
            if count
        ],
        "histograms": [_histogram(one) for one in result.histograms.values()],
    }


def _held_out(evaluation: Evaluation, result: AggregatedResult) -> dict[str, Any]:
    labels = evaluation.dataset.labels
    rows = [held_out_labels(len(labels), seed) for seed in result.trials]
    names = [[labels[row] for row in held_out] for held_out in rows]
    return {**_result(result), "withheld": names}  # plain-english: stored name


def _across(one: DomainShift) -> dict[str, Any]:
    return {
        "backbone": one.backbone,
        "shots": one.shots,
        "taught_in": one.taught_in or "two others",
        "asked_in": one.asked_in,
        **{_accuracy_key(way): interval(one.interval(way)) for way in (OFF, *FORCED, GATE)},
        "gate_kept": dict(one.kept),
    }


def _transfer(one: TransferBenefits) -> dict[str, Any]:
    return {
        "backbone": one.backbone,
        "shots": list(one.shots),
        "start": _benefit(one.start),
        "slope": _benefit(one.slope),
        "asymptote": _benefit(one.asymptote),
    }


def _benefit(one: Benefit | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"transfer": interval(one.transfer), "baseline": interval(one.baseline), "gain": interval(one.gain)}


def _accuracy_key(way: str) -> str:
    return "accuracy" if way == OFF else f"accuracy_{way}"


def _histogram(one: Histogram) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "low": one.low,
        "high": one.high,
        "threshold": one.threshold,
        "known": one.known.astype(int).tolist(),
        "strangers": one.unknown.astype(int).tolist(),  # plain-english: stored name
    }


def _mistakes(evaluation: Evaluation, name: str) -> dict[str, Any]:
    data, confusions = evaluation.dataset, evaluation.confusions[name]
    shots = max((shots for backbone, head, shots in evaluation.results if backbone == name), default=0)
    return {
        "shots": shots,
        "head": compared_head(shots),
        "labels": [asdict(one) for one in confusions.per_label(data.labels)],
        "confusions": confusions.most_common(data.labels),
        "worst": [
            {
                "input": data.contents[one.place],
                "label": data.labels[one.truth],
                "said": data.labels[one.predicted],  # plain-english: stored name
                "probability": one.probability,
            }
            for one in confusions.surest()
        ],
    }
