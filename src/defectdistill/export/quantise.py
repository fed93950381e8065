"""The network of an ONNX file in whole numbers (INT8): static, symmetric weights by channel, QDQ form.

What is before the first convolution (resize, normalise) and after the last matrix product (temperature, softmax) stays
as it is. Seven bits are used for weights: with eight, processors without VNNI instructions add up beyond 16 bits and
clip, so that the same file would answer differently there.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from defectdistill.export.onnx_file import plain
from defectdistill.export.runtimes import INPUT

BATCH = 16


class Images(CalibrationDataReader):
    """Hands images to the calibration, batch by batch."""

    def __init__(self, images: np.ndarray):
        starts = range(0, len(images), BATCH)
        self.batches: Iterator[np.ndarray] = (images[start : start + BATCH] for start in starts)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch, None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: np.ascontiguousarray(batch)}


def quantise(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    """Return the model with its network in INT8; `images`, uint8 (N, S, S, 3), tell the ranges of its values.

    Raises ValueError if the network has an operation that cannot be quantised.
    """
    try:
        quantised = plain(_quantised(model, images))
        onnx.checker.check_model(quantised)
    except OSError:  # a full disk is not the network's fault
        raise
    except Exception as error:  # the quantiser raises as it pleases
        raise ValueError(f"this network cannot be quantised ({error}): set export.int8: false") from error
    for entry in model.metadata_props:
        quantised.metadata_props.add().CopyFrom(entry)
    return quantised


def _quantised(model: onnx.ModelProto, images: np.ndarray) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as name:
        given, prepared, result = (Path(name) / file for file in ("given.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save(model, given)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            Images(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=outside_network(onnx.load(prepared).graph.node),
        )
        return onnx.load(result)


def outside_network(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    """Return the names of the nodes before the first convolution and after the last matrix product.

    `nodes` are in the order of execution, as in every ONNX file. Raises ValueError where there is no convolution.
    """
    kinds = [node.op_type for node in nodes]
    if "Conv" not in kinds:
        raise ValueError("it has no convolution")
    first = kinds.index("Conv")
    last = max(position for position, kind in enumerate(kinds) if kind in ("Conv", "Gemm", "MatMul"))
    return [node.name for position, node in enumerate(nodes) if not first <= position <= last]
