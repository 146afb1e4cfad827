"""CollectionService: collections, labels and examples, kept and changed."""

from glimpse.server.api.collections.collections import CollectionCalls
from glimpse.server.api.collections.examples import ExampleCalls
from glimpse.server.api.collections.indexes import IndexCalls
from glimpse.server.api.collections.labels import LabelCalls
from glimpse.server.api.collections.reembedding import ReembeddingCalls
from glimpse.server.api.collections.report import CheckCalls
from glimpse.v1 import collection_service_pb2_grpc


class CollectionService(
    CollectionCalls,
    LabelCalls,
    ExampleCalls,
    CheckCalls,
    IndexCalls,
    ReembeddingCalls,
    collection_service_pb2_grpc.CollectionServiceServicer,
):
    """See the contract; the calls on each kind of resource have a module of their own."""
