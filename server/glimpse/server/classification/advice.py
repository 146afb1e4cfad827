"""Advice on a collection: what to do next, as sentences, the most useful first."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from glimpse.v1 import collection_service_pb2 as pb

_MAX_NAMED = 3  # labels named in a sentence
_MAX_HALF_WIDTH = 0.05  # a wider confidence interval of the accuracy is worth a sentence
_MANY_ACCEPTED = 0.5
_MANY_GROUPED = 0.5


def advice(
    response: pb.GetCollectionReportResponse,
    counts: Sequence[int],
    *,
    by_rates: bool,
    false_reject: float,
    unlabeled: int,
    missing: Mapping[str, str],
) -> Iterator[str]:
    """Yields advice on a collection.

    Args:
        response: The report so far.
        counts: The number of examples of each label that can answer.
        by_rates: Whether the policy's rates decide.
        false_reject: The rate of false rejects that the policy asks for; 1 if it asks for a rate of false accepts.
        unlabeled: The number of vectors in the attached index that have no label.
        missing: A part that cannot be an answer yet, by the composed label that needs it.
    """
    single = sum(count == 1 for count in counts)
    if unlabeled:
        yield (
            f"{unlabeled} vectors of the index have no label and are never an answer: build the index with labels, "
            "unless you only search it."
        )
    if not counts:
        yield "Enroll examples, or give labels prompts: no label can be an answer yet."
        return
    if len(counts) == 1:
        yield "Add a second label, or negative examples: one label alone cannot be distinguished from anything."
    for label, part in islice(missing.items(), _MAX_NAMED):
        yield f"{label!r} is never an answer: its part {part!r} has neither examples nor prompts."
    if single:
        have = "has" if single == 1 else "have"
        yield f"{single} of {len(counts)} labels {have} one example: a second one for each calibrates the answers."
    if response.negative_transfer:
        yield "Review the examples: answers are worse with them than with the prompts alone."
    yield from _advice_on_backbones(response.backbone_comparison)
    yield from _advice_on_examples(response, sum(counts))
    if response.confusions and response.confusions[0].count > 1:
        worst = response.confusions[0]
        yield (
            f"{worst.label_id!r} is taken for {worst.answered_label_id!r} most often ({worst.count} times): "
            "enroll more examples of both, or check whether they are the same label."
        )
    if weak := [label.label_id for label in response.labels if label.needs_more]:
        yield f"Enroll more examples of {_named(weak)}: they have few, or a lower accuracy than the others."
    if below := [label.label_id for label in response.labels if label.below_min_examples]:
        yield f"Inputs like {_named(below)} are UNKNOWN until the label has as many examples as its policy asks for."
    if by_rates and (not response.HasField("false_reject") or response.false_reject.count < 1 / false_reject - 1):
        yield "Enroll more examples: there are too few to keep the rate that the policy asks for."
    yield from _advice_on_rates(response)


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MAX_NAMED} more" if len(labels) > _MAX_NAMED else ""
    return ", ".join(map(repr, labels[:_MAX_NAMED])) + more


def _advice_on_backbones(comparison: pb.BackboneComparison) -> Iterator[str]:
    better = next((one for one in comparison.backbones if one.backbone == comparison.better_backbone), None)
    if better:
        gain, low, high = (f"{100 * part:.1f}" for part in (better.gain, better.gain_low, better.gain_high))
        yield (
            f"Re-embed the collection with {better.backbone} (StartReembedding): it answers {gain} points more of "
            f"{better.accuracy.count} sampled examples correctly (95 % interval {low} to {high})."
        )


def _advice_on_examples(response: pb.GetCollectionReportResponse, count: int) -> Iterator[str]:
    if response.grouped_count > _MANY_GROUPED * count:
        yield (
            f"Enroll more examples that differ: {response.grouped_count} of {count} belong to a group or are near "
            "copies of others. Such examples count as one in this report."
        )
    if response.suspects:
        confident = sum(suspect.confident for suspect in response.suspects)
        number = len(response.suspects)
        examples = "1 example has" if number == 1 else f"{number} examples have"
        how_many = "" if number == 1 else f"{confident} of them "
        sure = f", {how_many}confidently" if confident else ""
        yield (
            f"Review the suspects: by the other examples, {examples} another label{sure}. "
            "Do not delete them unseen: many are right, and deleting all of them can make answers worse."
        )


def _advice_on_rates(response: pb.GetCollectionReportResponse) -> Iterator[str]:
    if response.HasField("false_accept") and response.false_accept.value > _MANY_ACCEPTED:
        if response.measured_on_negatives:
            yield "Most negative examples are taken for a label: set false_accept_rate, or try another backbone."
        else:
            yield "Most inputs that resemble a label but have none would be accepted: enroll negative examples."
    accuracy = response.accuracy
    half_width = (accuracy.high - accuracy.low) / 2
    if response.HasField("accuracy") and half_width > _MAX_HALF_WIDTH:
        yield (
            f"The accuracy has an uncertainty of {100 * half_width:.0f} %, with {accuracy.count} examples: "
            "enroll more before you rely on it."
        )
