"""What to do next about a collection, in sentences; the most useful first."""

from collections.abc import Iterator, Sequence

from glimpse.v1 import collection_service_pb2 as pb

_NAMED = 3  # labels in one sentence
_WELL_KNOWN = 0.05  # half of an interval's length
_MANY_ACCEPTED = 0.5


def advice(
    response: pb.GetCollectionReportResponse, counts: Sequence[int], *, by_rates: bool, unlabeled: int
) -> Iterator[str]:
    """What a check suggests.

    Args:
        response: the figures.
        counts: how many examples each label that can answer has.
        by_rates: whether the policy's rates decide.
        unlabeled: how many vectors of the collection's index have no label.
    """
    single = sum(count == 1 for count in counts)
    if unlabeled:
        yield (
            f"{unlabeled} vectors of the index have no label and are never an answer: build the index with labels, "
            "unless they are only to be searched."
        )
    if not counts:
        yield "Enroll examples, or give labels prompts: there is no label that could be an answer."
        return
    if len(counts) == 1:
        yield "Add a second label, or known strangers: with one label there is nothing to tell apart."
    if single:
        yield f"{single} of {len(counts)} labels have one example: a second one each lets answers be calibrated."
    if response.negative_transfer:
        yield "Look at the examples: they make answers worse than the prompts alone are."
    if response.suspects:
        yield f"Look at the suspects: {len(response.suspects)} that the other examples say are of another label."
    if response.confusions and response.confusions[0].count > 1:
        worst = response.confusions[0]
        yield (
            f"{worst.label_id!r} is taken for {worst.answered_label_id!r} most often ({worst.count} times): "
            "enroll more of both, or ask whether they are two labels."
        )
    if weak := [one.label_id for one in response.labels if one.needs_more]:
        named = ", ".join(map(repr, weak[:_NAMED]))
        more = f" and {len(weak) - _NAMED} more" if len(weak) > _NAMED else ""
        yield f"Enroll more of {named}{more}: they have few examples, or do worse than the others."
    if by_rates and not response.HasField("false_reject"):
        yield "Enroll more examples: there are too few yet to hold the rate that the policy asks for."
    yield from _of_rates(response)


def _of_rates(response: pb.GetCollectionReportResponse) -> Iterator[str]:
    if response.HasField("false_accept") and response.false_accept.value > _MANY_ACCEPTED:
        if response.measured_on_negatives:
            yield "Most known strangers are taken for a label: set a rate of false accepts, or try another backbone."
        else:
            yield "Strangers like the labels' own neighbours would mostly be taken for one: enroll some as negatives."
    accuracy = response.accuracy
    if response.HasField("accuracy") and (accuracy.high - accuracy.low) / 2 > _WELL_KNOWN:
        yield (
            f"The accuracy is known to about {(accuracy.high - accuracy.low) / 2:.0%} only, of {accuracy.count} "
            "examples: enroll more before you rely on it."
        )
