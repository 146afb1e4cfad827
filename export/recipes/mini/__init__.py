"""The recipe of glimpse-mini, the bundled backbone: it is trained only on pictures that the package draws itself.

`pictures` draws scenes, symbols and patterns with captions, and characters of invented scripts, on top of
`glimpse.export.drawings` (NumPy and Pillow; fonts DejaVu, STIX and Computer Modern from matplotlib). `model`, `losses`,
`data`, `bundle` and `train` need torch; `evaluate` measures the finished bundle with ONNX Runtime.

No font of another script is used: its letters are in Omniglot, and a one-shot test asks for characters never seen.

What the parts are worth was measured by continuing the bundle of 5,400 steps for 120 steps of 160 characters, at a
learning rate of 3e-4, without captions. Omniglot: 20-way one-shot error in percent, first 8 drawers of the background
alphabets, 2,600 episodes. Signs: sign_digits, 1 and 5 shots, percent right.

| characters | Omniglot | signs |
|---|---|---|
| before | 14.2 | 57.9 / 79.0 |
| 70 % invented scripts: upright strokes, marks, dots, relatives | 13.5 | 58.3 / 79.3 |
| and proportions, serifs, cut corners, strokes kept apart, larger dots | 12.6 | 59.2 / 80.1 |
| and half of the loss within one alphabet: not taken | 12.5 | 59.9 / 80.5 |
| the first kind of scripts at a rate of 1e-3: not taken | 14.0 | 55.4 / 77.0 |
| the third model, ink scaled to 65 % of the picture first: not taken | 12.9 | |
| the third model, mean of two sizes of the picture: not taken, doubles the time of an input | 12.4 | |

With captions in the same batches (150 steps of 96 captions and 192 characters) pictures without a shape were nearest to
a caption of a pattern in 85 % (10 % before), pictures of a shape to one of a shape in 100 % (98 %); held-out pairs were
99.4 % right (99.8 %), Omniglot 13.4, signs 55.0 / 78.3, and HTML's colours 60 % (63 %). 310 steps (the later ones with
few characters) gave 97 %, 100 %, 98.8 %, 13.8, 55.1 / 76.8 and 65 %. Shades therefore need the full run.
From random weights, 220 steps of 72 captions and 8 characters end at a caption loss of 2.98, and of 3.01 without
shades; neither has learned colours by then (12 % and 18 % of held-out pairs, 8 % and 9 % of HTML's colours), so that
this says only that shades do not slow the start. Pictures without a shape are found in 98 % by both.

Widths (32, 64, 128, 256) instead of (32, 64, 112, 192) cost 5 % more time a step and 1.7 MB; the effect on accuracy was
not measured.
"""
