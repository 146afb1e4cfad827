"""Makes bundles of models in foreign layouts: ONNX files with the settings of transformers, sentence-transformers,
open_clip or immich beside them. Needs no torch.
"""
