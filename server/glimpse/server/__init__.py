"""The gRPC server. Read `app.py` first: it is the server process from top to bottom."""

import os

# ONNX Runtime sends usage data to its authors unless this is set before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
