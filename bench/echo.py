"""The floor of every call: a grpc.aio server whose Classify does nothing but return a reply of the real one's size.

python -m bench.echo REPLY        REPLY: a file with a serialised ClassifyResponse; prints `listening on ADDRESS`
"""

import asyncio
import sys
from pathlib import Path

import grpc

from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import classification_service_pb2_grpc


class Echo(classification_service_pb2_grpc.ClassificationServiceServicer):
    """Parses the request, as gRPC does for every handler, and answers at once."""

    def __init__(self, reply: pb.ClassifyResponse) -> None:
        self.reply = reply

    async def Classify(self, request: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        return self.reply


async def main(reply: pb.ClassifyResponse) -> None:
    server = grpc.aio.server()
    classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server(Echo(reply), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(pb.ClassifyResponse.FromString(Path(sys.argv[1]).read_bytes())))
