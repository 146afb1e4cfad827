"""CollectionService: collections, labels and examples, kept and changed."""

from glimpse.server.check_calls import CheckCalls
from glimpse.server.collection_calls import CollectionCalls
from glimpse.server.example_calls import ExampleCalls
from glimpse.server.index_calls import IndexCalls
from glimpse.server.label_calls import LabelCalls
from glimpse.server.migration_calls import MigrationCalls
from glimpse.v1 import collection_service_pb2_grpc


class CollectionService(
    CollectionCalls,
    LabelCalls,
    ExampleCalls,
    CheckCalls,
    IndexCalls,
    MigrationCalls,
    collection_service_pb2_grpc.CollectionServiceServicer,
):
    """See the contract; the calls on each kind of resource have a module of their own."""
