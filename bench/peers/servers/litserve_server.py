"""LitServe: a front of FastAPI, and workers in processes of their own that infer in batches."""

from typing import Annotated, Any

import litserve
import numpy as np
import numpy.typing as npt
from fastapi import Body, Response

from bench.peers.pipeline import BATCH, PORT, WAIT_MS, WORKERS, Pipeline

Pixels = npt.NDArray[np.uint8]


class Embed(litserve.LitAPI):  # type: ignore[misc]
    """Decodes pictures one by one and embeds them in batches."""

    def setup(self, device: str) -> None:
        """Opens the session, in the worker."""
        self._pipeline = Pipeline()

    def decode_request(self, request: Annotated[bytes, Body(media_type="image/jpeg")]) -> Pixels:
        """Decodes one JPEG."""
        return self._pipeline.decode(request)

    def batch(self, inputs: list[Pixels]) -> list[Pixels]:
        """Returns the batch as it is."""
        return inputs

    def predict(self, pictures: list[Pixels]) -> Any:
        """Embeds a batch."""
        return self._pipeline.embed(pictures)

    def unbatch(self, output: Any) -> list[Any]:
        """Returns the vectors one by one."""
        return list(output)

    def encode_response(self, output: Any) -> Response:
        """Returns the vector's bytes."""
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = Embed(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
