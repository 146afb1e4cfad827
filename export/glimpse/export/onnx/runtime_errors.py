"""Explains errors of ONNX and ONNX Runtime: what is wrong, and what to do."""

import re

from glimpse.export.errors import first_line

_LONGEST = 300
_SHAPES = "shapes do not fit; check that --size, --layout or --context is what the model was exported for"
# The first pattern that matches decides. The advice is for a person who has only the model.
_ADVICE = (
    (
        r"not a registered function/op|No Op registered|no kernel registered|Unrecognized",
        "it has an operator that ONNX Runtime lacks; export it with ONNX's own operators, or update onnxruntime",
    ),
    (
        r"NOT_IMPLEMENTED|Could not find an implementation",
        "it has an operator that ONNX Runtime lacks for this number type on a CPU; export it in float32",
    ),
    (
        r"Unsupported model IR version|under development|till opset",
        "it is newer than this ONNX Runtime; update onnxruntime, or export it with an older opset",
    ),
    (
        r"invalid model|InferenceError\]|Type Error|Invalid attribute|ValidateEmbedded|has no data",
        "its graph contradicts itself; copy it again, or export it again",
    ),
    (r"bad_alloc|[Aa]llocat", "it asks for more memory than there is"),
    (r"[Ii]nvalid dimensions|[Ii]nvalid rank", _SHAPES),
    (
        r"index|indices|out of (data )?bounds|out of range",
        "an index points outside of a table; check that --tokenizer is the model's own, and that --context is not "
        "longer than the model reads",
    ),
    (r"[Ss]hape|dimension|broadcast|Reshape|[Ss]ize", _SHAPES),
    (r"[Tt]ype", "types do not fit; export the model again in float32"),
)
_DEFAULT = "check the model with ONNX Runtime alone, and export it again"


def describe_invalid(error: Exception) -> str:
    """Describes a model that ONNX's own reader or checker refuses, and what to do."""
    text = _shortened(first_line(error))
    if re.search(r"ir_version|opset|domain_version", text):
        return f"is not a model that this version of the onnx package supports ({text}); update it, or export it again"
    return f"is not a valid ONNX model: {text.rstrip('.')}; copy it again, or export it again"


def advice(error: Exception) -> str:
    """Returns what to do about an error, with ONNX Runtime's own message in brackets."""
    text = first_line(error)
    step = next((step for pattern, step in _ADVICE if re.search(pattern, text)), _DEFAULT)
    return f"{step} ({_shortened(text)})"


def _shortened(text: str) -> str:
    """Removes error codes, temporary files and locations in the library's source."""
    text = re.sub(r"Load model from \S+ failed: ?", "", text)
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"/onnxruntime_src/\S+\s(?:.*?\)(?: const)?(?:\s+\[.*?\])?\s)?", "", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
