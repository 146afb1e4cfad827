"""`glimpse export`: from a model to a bundle."""

from glimpse.cli import options
from glimpse.cli.export_checkpoint import hf, open_clip, timm
from glimpse.cli.export_onnx import onnx
from glimpse.cli.export_vectors import vectors

app = options.group("Make a backbone bundle from a model.")
app.command("open_clip")(open_clip)
app.command()(timm)
app.command()(hf)
app.command()(vectors)
app.command()(onnx)
