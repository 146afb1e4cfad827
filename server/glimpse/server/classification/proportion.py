"""Proportions with their confidence intervals."""

from glimpse.fewshot.statistics.confidence_interval import wilson_interval
from glimpse.v1 import collection_service_pb2 as pb


def proportion(successes: float, count: int) -> pb.Proportion:
    """Returns a proportion with its 95 % Wilson interval; with a count of 0, an empty message."""
    if not count:
        return pb.Proportion()
    low, high = wilson_interval(successes, count)
    return pb.Proportion(value=successes / count, low=low, high=high, count=count)
