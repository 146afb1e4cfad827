"""mosec: a front in Rust, and workers in processes of their own that decode and infer in batches."""

import sys

from mosec import Server, Worker

from bench.peers.pipeline import BATCH, PORT, WAIT_MS, WORKERS, Pipeline


class Embed(Worker):  # type: ignore[misc]
    """Decodes and embeds a batch. A stage of its own for decoding would send the pixels between processes."""

    def __init__(self) -> None:
        super().__init__()
        self._pipeline = Pipeline()

    def deserialize(self, data: bytes) -> bytes:
        """Returns the JPEG as it came."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """Returns the vector's bytes."""
        return data

    def forward(self, data: list[bytes]) -> list[bytes]:
        """Embeds a batch of JPEGs."""
        pictures = [self._pipeline.decode(jpeg) for jpeg in data]
        return [vector.tobytes() for vector in self._pipeline.embed(pictures)]


if __name__ == "__main__":
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(PORT), "--log-level", "warning", "--timeout", "60000"]
    server = Server()
    server.append_worker(Embed, num=WORKERS, max_batch_size=BATCH, max_wait_time=int(WAIT_MS))
    server.run()
