"""Other serving systems and Glimpse, in one run, on the same ONNX files: a JPEG in, a vector out.

The modules of `servers`, `pipeline` and `in_process` run in the peers' own environment, without any part of Glimpse.
"""
