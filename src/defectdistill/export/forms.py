"""The forms that the student is handed on in: their names in `parity.json`, their files, what is told of each."""

FP32, INT8 = "fp32", "int8"
FILES = {FP32: "student.onnx", INT8: "student_int8.onnx"}
SCORES = ("accuracy", "macro_f1", "loss")
