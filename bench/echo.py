"""The floors of every call: grpc.aio servers whose Classify does no more than answer.

    python -m bench.echo [--build] RESPONSE

RESPONSE is a file with a serialized ClassifyResponse. The server always returns it; with `--build`, it reads every
vector of the request and builds an equal response for each call, field by field, as any handler in Python must. The
server prints `listening on ADDRESS`.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import classification_service_pb2_grpc


class Echo(classification_service_pb2_grpc.ClassificationServiceServicer):
    """Parses the request, as gRPC does for every handler, and answers immediately."""

    def __init__(self, response: pb.ClassifyResponse) -> None:
        self.response = response

    async def Classify(self, request: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        return self.response


class Builder(classification_service_pb2_grpc.ClassificationServiceServicer):
    """Parses the request, reads its inputs, and builds the response from plain values."""

    def __init__(self, response: pb.ClassifyResponse) -> None:
        self.results = fields_of(response)["results"]

    async def Classify(self, request: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        for item in request.inputs:
            item.WhichOneof("content"), item.vector.embedding_space, item.vector.data
        response = pb.ClassifyResponse()
        for result in self.results:
            response.results.add(**result)
        return response


def fields_of(message: Message) -> dict[str, Any]:
    """Returns the fields of a message that are set, as plain values; messages inside it become dictionaries."""
    return {field.name: _plain(value) for field, value in message.ListFields()}


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return fields_of(value)
    if isinstance(value, str | bytes | int | float):
        return value
    return [_plain(item) for item in value]


async def serve(servicer: Echo | Builder) -> None:
    """Serves on a free loopback port until the process is stopped."""
    server = grpc.aio.server()
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true", help="build the response for each call")
    parser.add_argument("response", type=Path, metavar="RESPONSE", help="file with a serialized ClassifyResponse")
    options = parser.parse_args()
    response = pb.ClassifyResponse.FromString(options.response.read_bytes())
    asyncio.run(serve(Builder(response) if options.build else Echo(response)))  # type: ignore[abstract]


if __name__ == "__main__":
    main()
