"""From a checkpoint to a bundle. The only room that may import torch, and only in the modules that need it."""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
