"""The recipe of glimpse-mini, the bundled backbone: it is trained only on pictures that the package draws itself.

`pictures` draws: scenes, symbols and patterns with captions, and characters of invented scripts, on top of
`glimpse.export.drawings` (NumPy and Pillow; fonts DejaVu, STIX and Computer Modern from matplotlib). `model`, `losses`,
`data`, `bundle` and `train` need torch; `evaluate` measures the finished bundle with ONNX Runtime.

RESULTS
"""
