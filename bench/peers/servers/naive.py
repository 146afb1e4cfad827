"""gRPC without anything else: a pool of threads, and one picture at a time."""

from concurrent import futures

import grpc

from bench.peers.pipeline import PORT, Pipeline

pipeline = Pipeline()


def embed(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Returns the vector of a JPEG, as float32 bytes."""
    vector = pipeline.embed([pipeline.decode(request)])[0]
    return bytes(vector.tobytes())


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(10))
    handlers = {"Embed": grpc.unary_unary_rpc_method_handler(embed)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("peers.Naive", handlers),))
    server.add_insecure_port(f"127.0.0.1:{PORT}")
    server.start()
    server.wait_for_termination()
