"""The enum values of the contract for the heads and decisions of `glimpse.fewshot`."""

from glimpse.fewshot import Decision, HeadKind
from glimpse.v1 import classification_service_pb2, types_pb2

#: The value of types_pb2.Head for each kind of head.
HEADS = {
    HeadKind.NONE: types_pb2.HEAD_UNSPECIFIED,
    HeadKind.CLASS_MEAN: types_pb2.HEAD_CLASS_MEAN,
    HeadKind.PROMPTS: types_pb2.HEAD_PROMPTS,
    HeadKind.CLASS_MEAN_AND_PROMPTS: types_pb2.HEAD_CLASS_MEAN_AND_PROMPTS,
    HeadKind.LDA: types_pb2.HEAD_LDA,
    HeadKind.LDA_AND_PROMPTS: types_pb2.HEAD_LDA_AND_PROMPTS,
    HeadKind.KERNEL_RIDGE: types_pb2.HEAD_KERNEL_RIDGE,
    HeadKind.PROJECTED_RIDGE: types_pb2.HEAD_PROJECTED_RIDGE,
    HeadKind.NEIGHBORS: types_pb2.HEAD_NEIGHBORS,
}

#: The value of classification_service_pb2.Decision for each decision.
DECISIONS = {
    Decision.MATCH: classification_service_pb2.DECISION_MATCH,
    Decision.UNKNOWN: classification_service_pb2.DECISION_UNKNOWN,
    Decision.AMBIGUOUS: classification_service_pb2.DECISION_AMBIGUOUS,
}
