"""Exports checkpoints and ONNX models to bundles. The only package that may import torch, in `checkpoint` alone."""

import os

# ONNX Runtime sends usage data to its makers unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
