"""The floor of every call: a grpc.aio server whose Classify only returns a response of the real one's size.

    python -m bench.echo RESPONSE

RESPONSE is a file with a serialized ClassifyResponse. The server prints `listening on ADDRESS`.
"""

import argparse
import asyncio
from pathlib import Path

import grpc

from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import classification_service_pb2_grpc


class Echo(classification_service_pb2_grpc.ClassificationServiceServicer):
    """Parses the request, as gRPC does for every handler, and answers immediately."""

    def __init__(self, response: pb.ClassifyResponse) -> None:
        self.response = response

    async def Classify(self, request: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        return self.response


async def serve(response: pb.ClassifyResponse) -> None:
    """Serves on a free loopback port until the process is stopped."""
    server = grpc.aio.server()
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(Echo(response), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("response", type=Path, metavar="RESPONSE", help="file with a serialized ClassifyResponse")
    options = parser.parse_args()
    asyncio.run(serve(pb.ClassifyResponse.FromString(options.response.read_bytes())))


if __name__ == "__main__":
    main()
