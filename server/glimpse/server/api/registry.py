"""The names of the services, and how they are added to a server.

This module imports no servicer, so that the layers in front of the services can read the names.
"""

from typing import Any

from glimpse.v1 import (
    classification_service_pb2,
    classification_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    review_service_pb2,
    review_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

#: The full names of the services, for example `glimpse.v1.EmbeddingService`.
SERVICES: tuple[str, ...] = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (embedding_service_pb2, "EmbeddingService"),
        (collection_service_pb2, "CollectionService"),
        (classification_service_pb2, "ClassificationService"),
        (review_service_pb2, "ReviewService"),
        (server_service_pb2, "ServerService"),
    )
)


def add_services(server: Any, embedding: Any, collections: Any, classification: Any, review: Any, about: Any) -> None:
    """Adds one servicer for each service to a server.

    Args:
        server: A grpc.aio.Server, or an object with the same methods.
        embedding: The servicer of EmbeddingService.
        collections: The servicer of CollectionService.
        classification: The servicer of ClassificationService.
        review: The servicer of ReviewService.
        about: The servicer of ServerService.
    """
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(embedding, server)
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(collections, server)
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(classification, server)
    review_service_pb2_grpc.add_ReviewServiceServicer_to_server(review, server)
    server_service_pb2_grpc.add_ServerServiceServicer_to_server(about, server)
