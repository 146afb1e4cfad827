"""Edits ONNX graphs: frees the batch dimension, adds normalisation and pooling, takes out parts."""
