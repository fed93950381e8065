"""A module as an ONNX graph with the same bytes in every process: notes on where it was traced are taken out."""

import json
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import nn

from defectdistill.export.runtimes import INPUT, OUTPUT

OPSET = 20  # onnxruntime ≥ 1.18, OpenVINO ≥ 2024.5
EXAMPLE = (2, 70, 90, 3)  # sides that differ, so that neither is taken for a constant


def to_onnx(module: nn.Module, what: str, notes: Mapping[str, Any]) -> onnx.ModelProto:
    """Return `module`, uint8 (N, H, W, 3) → float32 (N, K), as an ONNX model; N, H and W stay free.

    `notes` go into the model's metadata, each value as JSON. Raises ValueError, which says `what` it was, if the
    exporter cannot follow the module.
    """
    free = {axis: torch.export.Dim(name) for axis, name in enumerate(("batch", "height", "width"))}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of versions of operators that it converts
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of its insides
            program = torch.onnx.export(
                module,
                (torch.zeros(EXAMPLE, dtype=torch.uint8),),
                dynamo=True,
                dynamic_shapes=(free,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # torch.export raises a dozen kinds
        raise ValueError(
            f"{what} cannot be written as ONNX ({first_cause(error)}): choose another "
            "student.arch (resnet18, shufflenet_v2, mobilenet_v3, small_cnn_33 and sarsn_18 can be), or stop before "
            "this stage with `dvc repro evaluate`"
        ) from error
    model = plain(program.model_proto)
    for name in sorted(notes):
        entry = model.metadata_props.add()
        entry.key, entry.value = name, json.dumps(notes[name], sort_keys=True, ensure_ascii=False)
    onnx.checker.check_model(model)
    return model


def first_cause(error: BaseException) -> str:
    """Return in a line what the chain of an error began with: what stands at its end is general advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out what the exporter notes for its own debugging: stack traces with this machine's paths among it."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.name = "defectdistill"
    return model


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Serialise a model: the same model, the same bytes."""
    return model.SerializeToString(deterministic=True)
