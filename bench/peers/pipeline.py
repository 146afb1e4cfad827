"""The part that every peer shares: decoding a JPEG as the bundle says, and running its graph.

Environment variables configure a peer: PEER_GRAPH (the ONNX file), PEER_RULE (the bundle's image rule as JSON),
PEER_PORT, PEER_WORKERS, PEER_THREADS (of ONNX Runtime, for each worker), PEER_BATCH (the largest batch) and
PEER_WAIT_MS.
"""

import io
import json
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image

PORT = int(os.environ.get("PEER_PORT", "0"))
WORKERS = int(os.environ.get("PEER_WORKERS", "1"))
THREADS = int(os.environ.get("PEER_THREADS", "2"))
BATCH = int(os.environ.get("PEER_BATCH", "32"))
#: Milliseconds that a batch may wait for more pictures.
WAIT_MS = float(os.environ.get("PEER_WAIT_MS", "0"))
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Pipeline:
    """Decodes pictures and embeds them with one ONNX Runtime session."""

    def __init__(self) -> None:
        rule: dict[str, Any] = json.loads(os.environ["PEER_RULE"])
        self._size, self._squash = int(rule["size"]), rule["resize"] == "squash"
        self._filter = _FILTERS[rule["interpolation"]]
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
        # On cores that are shared with a client and a server, threads that spin only take time from the others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(os.environ["PEER_GRAPH"], options, providers=["CPUExecutionProvider"])

    def decode(self, jpeg: bytes) -> npt.NDArray[np.uint8]:
        """Returns the pixels for the graph, uint8 (S, S, 3)."""
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        size, (width, height) = self._size, image.size
        if self._squash:
            return np.asarray(image.resize((size, size), self._filter))
        short = min(width, height)
        image = image.resize((size * width // short, size * height // short), self._filter)
        left, top = (round((side - size) / 2) for side in image.size)
        return np.asarray(image.crop((left, top, left + size, top + size)))

    def embed(self, pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Returns unit vectors, float32 (n, d), of decoded pictures."""
        [vectors] = self._session.run(["embedding"], {"images": np.stack(pictures)})
        return np.asarray(vectors, np.float32)
