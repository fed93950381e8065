"""An ONNX file in two runtimes that share no code, on the processor, in fp32 wherever the file says float."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import openvino

from defectdistill.export.onnx_file import INPUT, OUTPUT

# uint8 (N, H, W, 3) → float32 (N, K)
Classify = Callable[[np.ndarray], np.ndarray]


def in_onnxruntime(file: Path, threads: int) -> Classify:
    """Load a file into ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def in_openvino(file: Path, threads: int) -> Classify:
    """Load a file into OpenVINO; without the hint it would compute in bf16 where the processor can."""
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(file, "CPU", hints).create_infer_request()
    return lambda images: np.array(request.infer([images])[0])


RUNTIMES: dict[str, Callable[[Path, int], Classify]] = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}
