"""The subcommands of `glimpse export`."""

from glimpse.cli.common import options
from glimpse.cli.export.checkpoint import hf, open_clip, timm
from glimpse.cli.export.onnx import onnx
from glimpse.cli.export.word_vectors import vectors

app = options.group("Export a model as a backbone bundle.")
app.command("open_clip", short_help="Export image and text encoders of open_clip.")(open_clip)
app.command(short_help="Export image encoders of timm.")(timm)
app.command(short_help="Export sentence encoders of Hugging Face transformers.")(hf)
app.command(short_help="Export word vectors as a text backbone.")(vectors)
app.command(short_help="Export an ONNX encoder of images or texts.")(onnx)
