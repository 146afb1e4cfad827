"""Quantises layers to 8 bits: matrix products at run time, convolutions by calibrated ranges."""

import contextlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    create_calibrator,
    quantize_dynamic,
)
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from glimpse.export.errors import ExportError, first_line
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.cpu_features import saturates
from glimpse.export.precision.graph import ACTIVATIONS, LARGEST_FILE, Layer, save, size_of

# A convolution is quantised with the activation that its 8-bit range can express. Additions between blocks stay in
# float, which is as fast and costs no accuracy.
_STATIC = ["Conv", *ACTIVATIONS]
#: Calibration methods. Percentile ignores a few extreme values, which gives all others finer steps.
METHODS: Mapping[str, Any] = {"percentile 99.999": CalibrationMethod.Percentile, "min-max": CalibrationMethod.MinMax}
_OPTIONS = {"percentile": 99.999, "symmetric": False}


def calibrate(prepared: Path, inputs: Sequence[Inputs], method: str) -> TensorsData:
    """Returns the range of every value that a convolution reads or writes, over the inputs. Raises ExportError."""
    try:
        return _calibrate(prepared, inputs, method)
    except Exception as error:  # the exceptions have no common base; values without a range cause one
        message = f"int8 cannot be calibrated by {method} ({first_line(error)}); give --precision fp32"
        raise ExportError(message) from error


def _calibrate(prepared: Path, inputs: Sequence[Inputs], method: str) -> TensorsData:
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints its progress
        calibrator = create_calibrator(
            prepared,
            _STATIC,
            augmented_model_path=str(prepared.with_suffix(".augmented.onnx")),
            calibrate_method=METHODS[method],
            use_external_data_format=prepared.with_name(f"{prepared.name}.data").is_file(),
            extra_options=_OPTIONS,
        )
        for batch in inputs:  # one batch at a time, because the library keeps all values of a call in memory
            calibrator.collect_data(_Reader([batch]))
        ranges: TensorsData = calibrator.compute_data()
    return ranges


def quantize(model: ModelProto, layers: Collection[Layer], ranges: TensorsData | None, out: Path) -> None:
    """Writes the model with these layers in 8 bits: signed weights with a scale per channel, unsigned activations.

    Args:
        model: as `prepare` returns it; not changed.
        layers: the layers to quantise.
        ranges: as `calibrate` returns them; needed for convolutions.
        out: the file to write.
    """
    quantized = ModelProto()
    quantized.CopyFrom(model)
    add_pre_process_metadata(quantized)
    products = [layer.name for layer in layers if layer.operator == "MatMul"]
    if products:
        quantize_dynamic(
            quantized,
            out,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=saturates(),  # to 7 bits
            weight_type=QuantType.QInt8,
            nodes_to_quantize=products,
            use_external_data_format=size_of(model) > LARGEST_FILE,
        )
        quantized = onnx.load(out)
    if convolutions := {layer.name for layer in layers if layer.operator == "Conv"}:
        quantized = _with_ranges(quantized, convolutions, ranges)
    save(quantized, out)


def _with_ranges(model: ModelProto, convolutions: Collection[str], ranges: TensorsData | None) -> ModelProto:
    """Returns the model with these convolutions between DequantizeLinear and QuantizeLinear."""
    others = [node.name for node in model.graph.node if node.op_type == "Conv" and node.name not in convolutions]
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=saturates(),
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,  # twice as fast on x86 as signed activations
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=others,
        op_types_to_quantize=_STATIC,
        extra_options={},
    )
    quantizer.quantize_model()
    quantized: ModelProto = quantizer.model.model
    _hold_in_float(quantized, others)
    return quantized


def _hold_in_float(model: ModelProto, names: Collection[str]) -> None:
    """Gives convolutions that stay in float their own DequantizeLinear, with its one scale repeated for each channel.

    Otherwise ONNX Runtime would quantise a convolution between a DequantizeLinear and a QuantizeLinear of one scale,
    with one scale for its whole weight.
    """
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for place, node in reversed(list(enumerate(graph.node))):
        if node.name not in names or node.input[0] not in makers:
            continue
        maker = makers[node.input[0]]
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        channels = groups * constants[node.input[1]].dims[1]
        names_of_node = [f"{name}_of_{node.name}" for name in (*maker.input[1:], maker.output[0])]
        for name, source in zip(names_of_node, maker.input[1:], strict=False):
            values = np.full(channels, numpy_helper.to_array(constants[source]))
            graph.initializer.append(numpy_helper.from_array(values, name))
        own = helper.make_node(
            "DequantizeLinear", [maker.input[0], *names_of_node[:2]], [names_of_node[2]], name=names_of_node[2], axis=1
        )
        node.input[0] = names_of_node[2]
        graph.node.insert(place, own)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Inputs]) -> None:
        self._batches: Iterator[Inputs] = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        """Returns the next batch."""
        batch = next(self._batches, None)
        return None if batch is None else dict(batch)
