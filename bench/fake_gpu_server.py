"""Runs the `glimpse` command with an encoder that sleeps as long as a GPU computes.

    FAKE_GPU_RUN_MS=0.8 FAKE_GPU_PICTURE_MS=0.02 python -m bench.fake_gpu_server serve [OPTION ...]

A run releases the interpreter's lock, and copies its input as a run with bound inputs does. Its vectors are constant.
"""

import os
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from glimpse.backbone.inference.onnx_graph import Graph
from glimpse.backbone.inference.sessions import CPU, CUDA
from glimpse.backbone.inference.shape_buckets import Buckets, Inputs
from glimpse.cli.main import main

_RUN_SECONDS = float(os.environ.get("FAKE_GPU_RUN_MS", "0.8")) / 1e3
_PICTURE_SECONDS = float(os.environ.get("FAKE_GPU_PICTURE_MS", "0.02")) / 1e3
_open_graph = Graph.__init__


class _FakeGraph(Graph):
    def __init__(self, *arguments: Any) -> None:
        _open_graph(self, *arguments)
        self.providers, self.side_by_side = [CUDA, CPU], False
        self.buckets = Buckets(arguments[-1])
        self._dimension = arguments[0].manifest.dimension
        self._device: dict[tuple[int, ...], npt.NDArray[Any]] = {}

    def run(self, inputs: Inputs, *, single_core: bool = False) -> npt.NDArray[np.float32]:
        """Returns unit vectors after the time that a GPU takes; it has no cores to choose from."""
        del single_core
        assert self.buckets
        [given] = inputs.values()
        [values] = self.buckets.pad(inputs).values()
        there = self._device.setdefault(values.shape, np.empty_like(values))
        np.copyto(there, values)
        time.sleep(_RUN_SECONDS + _PICTURE_SECONDS * len(values))
        return np.full((len(given), self._dimension), self._dimension**-0.5, np.float32)


if __name__ == "__main__":
    patch("glimpse.backbone.inference.encoder.Graph", _FakeGraph).start()
    main()
