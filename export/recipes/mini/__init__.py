"""glimpse-mini: the bundled backbone, trained from nothing but pictures this package draws itself.

`strokes` and `scenes` draw (NumPy and Pillow alone), `model`, `losses` and `train` train (torch), `evaluate` measures
the finished bundle (ONNX Runtime alone).
"""
