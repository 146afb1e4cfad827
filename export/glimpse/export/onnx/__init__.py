"""Wraps plain ONNX models into bundles; needs no torch."""
