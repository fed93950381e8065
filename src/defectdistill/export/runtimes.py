"""An ONNX file in two runtimes that share no code, on the processor, in fp32 wherever the file says float.

Either is imported when it is asked for, and torch is not: what one of them takes can be measured.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

INPUT, OUTPUT = "images", "probabilities"

# uint8 (N, H, W, 3) → float32 (N, K)
Classify = Callable[[np.ndarray], np.ndarray]


def in_onnxruntime(file: Path, threads: int) -> Classify:
    """Load a file into ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def in_openvino(file: Path, threads: int, precision: str = "f32") -> Classify:
    """Load a file into OpenVINO; without the hint of the `precision` it would choose bf16 where the processor can."""
    # Or its import alone would report itself to its maker; without this module it takes a stand-in that does nothing.
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(file, "CPU", hints).create_infer_request()
    return lambda images: np.array(request.infer([images])[0])


RUNTIMES: dict[str, Callable[[Path, int], Classify]] = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}
