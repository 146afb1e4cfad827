"""Measures the speed of a bundle, and compares it with the machine's own matrix products."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from glimpse.backbone import Bundle, Encoder, cores
from glimpse.backbone.inference.sessions import PROVIDERS
from glimpse.export.graph.dequantize_weights import dequantized_every_run
from glimpse.export.graph.graph_editing import IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.graph import expose
from glimpse.files.scratch import scratch_folder

BATCHES = (1, 8, 32)
_TOKENS = 16  # tokens of the text that is timed
_SIDE = 2_048  # side of the matrices that measure the ceiling
_PRODUCTS = ("Conv", "MatMul", "Gemm", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "FusedMatMul")


@dataclass(frozen=True)
class Speed:
    """The speed of one graph at one batch size on one provider.

    Attributes:
        p50_ms: median time of a run, in milliseconds.
        per_second: inputs per second.
        gops: billions of multiplications and additions per second.
        ceiling: `gops` divided by that of the machine's own matrix products.
    """

    modality: str
    provider: str
    batch: int
    p50_ms: float
    per_second: float
    gops: float
    ceiling: float


def available() -> list[str]:
    """Returns the short names of the available providers, best first; TensorRT is left out, as it is only used on
    request.
    """
    available_names = ort.get_available_providers()
    return [short for short in ("cuda", "cpu") if PROVIDERS[short] in available_names]


def measure(bundle: Bundle, provider: str, threads: int | None, seconds: float) -> Iterator[Speed]:
    """Yields the speed of each graph of a bundle at each batch size.

    Args:
        bundle: a loaded bundle.
        provider: short name of the provider.
        threads: cores for one run; None for all.
        seconds: about how long each batch size is timed.

    Raises:
        BundleError: the provider is unavailable.
    """
    threads = threads or cores()
    encoder = Encoder(bundle, threads=threads, providers=[provider])
    encoder.warm_up()
    for modality in bundle.manifest.modalities:
        ceiling = products_per_second(bundle.manifest.precision, provider, threads, seconds)
        products = multiply_adds(bundle.path / f"{modality}.onnx", _inputs(bundle, modality, 1))
        for batch in BATCHES:
            inputs = _inputs(bundle, modality, batch)
            run = encoder.encode_images if modality == "image" else encoder.encode_texts
            times = _seconds(lambda run=run, inputs=inputs: run(*inputs.values()), seconds)  # type: ignore[misc]
            p50 = statistics.median(times)
            reached = products * batch / p50
            yield Speed(modality, provider, batch, 1e3 * p50, batch / p50, 2e-9 * reached, reached / ceiling)


def dequantized_weights(bundle: Bundle) -> int:
    """Returns the number of weights that a bundle's graphs dequantise in every run, although once would do."""
    graphs = [
        onnx.load(bundle.path / f"{modality}.onnx", load_external_data=False) for modality in bundle.manifest.modalities
    ]
    return sum(len(dequantized_every_run(graph)) for graph in graphs)


def products_per_second(precision: str, provider: str, threads: int, seconds: float) -> float:
    """Returns how many multiplications with additions per second one large matrix product reaches at best.

    Args:
        precision: a bundle's precision; decides the type of the matrices.
        provider: short name of the provider.
        threads: cores for one run.
        seconds: about how long to measure.
    """
    rng = np.random.default_rng(0)
    square = rng.normal(size=(_SIDE, _SIDE)).astype(np.float32)
    values: npt.NDArray[Any]
    weights: npt.NDArray[Any]
    if precision == "int8":
        weights, operator = (square * 40).astype(np.int8), "MatMulInteger"
        # Activations are unsigned.
        values = (weights.astype(np.int16) + 128).clip(0, 255).astype(np.uint8)
    else:
        weights, operator = square.astype(np.float16 if precision == "fp16" else np.float32), "MatMul"
        values = weights
    result = TensorProto.INT32 if operator == "MatMulInteger" else helper.np_dtype_to_tensor_dtype(weights.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)],
        [helper.make_tensor_value_info("c", result, square.shape)],
        [numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=[PROVIDERS[provider]])
    binding = session.io_binding()  # copies to and from a GPU do not count
    device = "cpu" if provider == "cpu" else "cuda"
    binding.bind_ortvalue_input("a", ort.OrtValue.ortvalue_from_numpy(values, device, 0))
    binding.bind_output("c", device)
    return _SIDE**3 / min(_seconds(lambda: session.run_with_iobinding(binding), seconds))


def multiply_adds(graph: Path, inputs: Inputs) -> int:
    """Counts the multiplications with additions of all matrix products and convolutions in one run, by the actual
    shapes.
    """
    model = onnx.load(graph)
    nodes = [node for node in model.graph.node if node.op_type in _PRODUCTS]
    names = [name for node in nodes for name in (node.output[0], *_operands(node))]
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    inner = [name for name in dict.fromkeys(names) if name not in constants]
    if not inner:  # a graph of word vectors has no product, and an empty list of names would return every output
        return 0
    with scratch_folder() as folder:
        shapes = constants | dict(zip(inner, (v.shape for v in expose(model, inner, folder, inputs)), strict=True))
    total = 0
    for node in nodes:
        left, right = (shapes[name] for name in _operands(node))
        per_output = int(np.prod(right[1:])) if "Conv" in node.op_type else left[-1]
        total += int(np.prod(shapes[node.output[0]])) * per_output
    return total


def _operands(node: onnx.NodeProto) -> tuple[str, str]:
    """Returns the names of both factors; a QLinear operator has a scale and a zero point between them."""
    return node.input[0], node.input[3 if node.op_type.startswith("QLinear") else 1]


def _inputs(bundle: Bundle, modality: str, batch: int) -> Inputs:
    image, text = bundle.manifest.image, bundle.manifest.text
    if modality == "image" and image:
        return {IMAGES: np.random.default_rng(0).integers(0, 256, (batch, image.size, image.size, 3), np.uint8)}
    if text is None:
        raise ValueError(f"this bundle reads no {modality}")
    tokens = text.context_length if text.padding == "context" else min(_TOKENS, text.context_length)
    ones = np.ones((batch, tokens), np.int64)
    return {IDS: ones, MASK: ones}


def _seconds(work: Callable[[], object], seconds: float) -> list[float]:
    """Returns the time of each run, in seconds, of at least three runs within about `seconds`."""
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times
