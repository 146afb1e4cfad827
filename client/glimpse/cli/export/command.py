"""`glimpse export`: from a model to a bundle."""

from glimpse.cli.common import options
from glimpse.cli.export.checkpoint import hf, open_clip, timm
from glimpse.cli.export.onnx import onnx
from glimpse.cli.export.word_vectors import vectors

app = options.group("Make a backbone bundle from a model.")
app.command("open_clip", short_help="Image and text towers of open_clip: CLIP, SigLIP and more.")(open_clip)
app.command(short_help="Image encoders of timm: ResNet, ConvNeXt, DINOv2 and more.")(timm)
app.command()(hf)
app.command(short_help="Word vectors: a text's vector is the mean of its words'.")(vectors)
app.command(short_help="Wrap an ONNX encoder of images or texts into a bundle.")(onnx)
