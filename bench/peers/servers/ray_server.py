"""Ray Serve: a proxy, and replicas that infer in batches."""

import asyncio
import signal
import threading

import numpy as np
import numpy.typing as npt
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bench.peers.pipeline import BATCH, PORT, WAIT_MS, WORKERS, Pipeline


@serve.deployment(
    num_replicas=WORKERS,
    max_ongoing_requests=2 * BATCH,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
class Embed:
    """Decodes pictures in threads and embeds them in batches."""

    def __init__(self) -> None:
        self._pipeline = Pipeline()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT_MS / 1000)
    async def _embed(self, pictures: list[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float32]]:
        return list(await asyncio.to_thread(self._pipeline.embed, pictures))

    async def __call__(self, request: Request) -> Response:
        """Returns the vector of a JPEG, as float32 bytes."""
        picture = await asyncio.to_thread(self._pipeline.decode, await request.body())
        vector = await self._embed(picture)
        return Response(vector.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    ray.init(
        num_cpus=2 + WORKERS,
        include_dashboard=False,
        object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": PORT}, logging_config={"enable_access_log": False})
    serve.run(Embed.bind())  # type: ignore[attr-defined]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
