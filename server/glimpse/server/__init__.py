"""The gRPC service. Read `app.py` first: it is the server from top to bottom."""

import os

# ONNX Runtime reports its use to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
