"""Runs a bundle's graphs in ONNX Runtime."""
