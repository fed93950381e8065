import subprocess
import sys

TELEMETRY = """
import sys
import onnx
from defectdistill.export.runtimes import in_onnxruntime, in_openvino
node = onnx.helper.make_node("Identity", ["images"], ["probabilities"])
ends = [onnx.helper.make_tensor_value_info(name, 2, ["n", 2]) for name in ("images", "probabilities")]
graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), sys.argv[1])
import numpy
for load in (in_onnxruntime, in_openvino):
    assert load(sys.argv[1], 1)(numpy.ones((3, 2), numpy.uint8)).shape == (3, 2)
print(sorted(name for name in sys.modules if "telemetry" in name and sys.modules[name] and "ovc" not in name))
print(sorted(name for name in ("torch",) if name in sys.modules))
"""


def test_neither_runtime_reports_home_or_needs_torch(tmp_path):
    command = [sys.executable, "-c", TELEMETRY, str(tmp_path / "identity.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"], done.stderr
