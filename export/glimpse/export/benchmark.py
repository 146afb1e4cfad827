"""How fast a bundle is on this machine, beside what the machine's matrix products allow. No torch."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from glimpse.backbone import Bundle, Encoder, cores, scratch_folder
from glimpse.backbone.inference.sessions import PROVIDERS
from glimpse.export.graph.graph_editing import IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.graph import expose

BATCHES = (1, 8, 32)
_TOKENS = 16  # of a text that is timed
_SIDE = 2_048  # of the matrices for the ceiling
_PRODUCTS = ("Conv", "MatMul", "Gemm", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul", "FusedMatMul")


@dataclass(frozen=True)
class Speed:
    """One batch size on one provider.

    `gops`: billions of multiplications and additions a second. `ceiling`: the share of the machine's own matrix
    products that this is.
    """

    modality: str
    provider: str
    batch: int
    p50_ms: float
    per_second: float
    gops: float
    ceiling: float


def available() -> list[str]:
    """Short names of the providers that this ONNX Runtime has, best first; TensorRT only on request."""
    there = ort.get_available_providers()
    return [short for short in ("cuda", "cpu") if PROVIDERS[short] in there]


def measure(bundle: Bundle, provider: str, threads: int | None, seconds: float) -> Iterator[Speed]:
    """Speeds of a bundle's graphs, batch by batch, each the median of runs for about so many seconds.

    Raises BundleError where the provider is not there.
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
            taken = _seconds(lambda run=run, inputs=inputs: run(*inputs.values()), seconds)  # type: ignore[misc]
            p50 = statistics.median(taken)
            reached = products * batch / p50
            yield Speed(modality, provider, batch, 1e3 * p50, batch / p50, 2e-9 * reached, reached / ceiling)


def products_per_second(precision: str, provider: str, threads: int, seconds: float) -> float:
    """Multiplications with additions a second of one large matrix product at its fastest, in a precision's numbers."""
    rng = np.random.default_rng(0)
    square = rng.normal(size=(_SIDE, _SIDE)).astype(np.float32)
    if precision == "int8":
        given, weights, operator = (square * 40).astype(np.int8), (square * 40).astype(np.int8), "MatMulInteger"
        given = (given.astype(np.int16) + 128).clip(0, 255).astype(np.uint8)  # as activations are
    else:
        dtype = np.float16 if precision == "fp16" else np.float32
        given, weights, operator = square.astype(dtype), square.astype(dtype), "MatMul"
    found = TensorProto.INT32 if operator == "MatMulInteger" else helper.np_dtype_to_tensor_dtype(weights.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(given.dtype), given.shape)],
        [helper.make_tensor_value_info("c", found, square.shape)],
        [numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=[PROVIDERS[provider]])
    binding = session.io_binding()  # what is copied to a GPU and back is no product
    device = "cpu" if provider == "cpu" else "cuda"
    binding.bind_ortvalue_input("a", ort.OrtValue.ortvalue_from_numpy(given, device, 0))
    binding.bind_output("c", device)
    return _SIDE**3 / min(_seconds(lambda: session.run_with_iobinding(binding), seconds))


def multiply_adds(graph: Path, inputs: Inputs) -> int:
    """Of all matrix products and convolutions of one run, by the shapes that it really has."""
    model = onnx.load(graph)
    nodes = [node for node in model.graph.node if node.op_type in _PRODUCTS]
    names = [name for node in nodes for name in (node.output[0], *_operands(node))]
    constants = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    inner = [name for name in dict.fromkeys(names) if name not in constants]
    with scratch_folder() as folder:
        shapes = constants | dict(zip(inner, (v.shape for v in expose(model, inner, folder, inputs)), strict=True))
    total = 0
    for node in nodes:
        left, right = (shapes[name] for name in _operands(node))
        each = int(np.prod(right[1:])) if "Conv" in node.op_type else left[-1]
        total += int(np.prod(shapes[node.output[0]])) * each
    return total


def _operands(node: onnx.NodeProto) -> tuple[str, str]:
    """What is multiplied; in a QLinear operator, scale and zero point stand between."""
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
    """What each of the runs of about so many seconds took."""
    work()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken
