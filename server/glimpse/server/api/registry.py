"""The services there are, and how gRPC is told of them. Loads nothing that answers: what stands before it asks too."""

from typing import Any

from glimpse.v1 import (
    classification_service_pb2,
    classification_service_pb2_grpc,
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

#: Their full names.
SERVICES: tuple[str, ...] = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (embedding_service_pb2, "EmbeddingService"),
        (collection_service_pb2, "CollectionService"),
        (classification_service_pb2, "ClassificationService"),
        (server_service_pb2, "ServerService"),
    )
)


def add_services(server: Any, embedding: Any, collections: Any, classification: Any, about: Any) -> None:
    """Has a server, or what is like one, answer each service with its servicer."""
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(embedding, server)
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(collections, server)
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(classification, server)
    server_service_pb2_grpc.add_ServerServiceServicer_to_server(about, server)
