"""The recipe of glimpse-mini, the bundled backbone: it is trained only on pictures that the package draws itself.

The pictures come from `glimpse.export.drawings` (NumPy and Pillow). `model`, `losses` and `train` need torch;
`evaluate` measures the finished bundle with ONNX Runtime.
"""
