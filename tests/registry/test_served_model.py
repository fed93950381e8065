"""The logged model: what lies in its folder, that it runs without this package, and that it serves over HTTP."""

import ast
import base64
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest
from mlflow.pyfunc import load_model
from PIL import Image
from registry_project import CLASSES, evaluate, make_data, write_params, write_student
from repository import PROJECT, environment, run, set_params

from defectdistill.data.images import decode_image
from defectdistill.predict import Predictor
from defectdistill.registry.serving_requirements import SERVING, closure

COLUMNS = ["class", "entropy", *(f"probability/{name}" for name in CLASSES)]
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow"}
PIXELS = 500_000  # the most that the served model takes


@pytest.fixture(scope="module", autouse=True)
def own_modules():
    """MLflow puts the code of a model that it loads before ours, for good: other tests would start processes on it."""
    before = sys.path.copy()
    yield
    sys.path[:] = before


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A finished run, registered by the command."""
    folder = tmp_path_factory.mktemp("served")
    make_data(folder)
    write_params(folder, name="classifier")
    set_params(folder, {"ingest.max_pixels": PIXELS})
    write_student(folder, favourite=1, certainty=0.1)
    evaluate(folder)
    output = run("defectdistill register", folder)
    assert "registered classifier version 1" in output
    assert "aliases of version 1: challenger, champion" in output
    assert "Traceback" not in output
    return folder


@pytest.fixture(scope="module")
def model(project):
    """The folder of the logged model."""
    (file,) = project.glob("mlartifacts/**/MLmodel")
    return file.parent


@pytest.fixture(scope="module")
def predictor(project):
    return Predictor.load(project / "models/student")


def encoded(kind, mode, size, seed=0):
    """Return the bytes of a random image."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def probabilities(table):
    return np.array([[row[name] for name in COLUMNS[2:]] for row in table])


def test_nothing_in_it_is_pickled_or_names_this_machine(model):
    files = [path for path in model.rglob("*") if path.is_file()]
    text = {".py", ".json", ".txt", ".yaml", ".html", ".css", ".js", ".j2", ""}
    assert {path.suffix for path in files} <= text | {".safetensors"}
    assert [path.name for path in files if path.suffix == ".safetensors"] == ["weights.safetensors"]
    assert [path.name for path in files if not path.suffix] == ["MLmodel"]
    assert "python_model:" not in (model / "MLmodel").read_text()  # where MLflow would name a pickle
    for path in files:
        if path.suffix in text:
            assert str(PROJECT) not in path.read_text(encoding="utf-8"), path


def test_requirements_are_exact_and_just_what_the_served_code_imports(model):
    exact = dict(line.split("==") for line in (PROJECT / "constraints.txt").read_text().split())
    requirements = (model / "requirements.txt").read_text().split("\n")
    assert requirements == [*(f"{name}=={exact[name]}" for name in SERVING), "-c constraints.txt"]
    held = dict(line.split("==") for line in (model / "constraints.txt").read_text().split())
    assert held.items() <= exact.items()
    assert {"mlflow", "fastapi", "uvicorn", "torch"} <= set(held)  # also what the imports need in turn …
    assert not {"dvc", "pytest", "lightning", "uv"} & set(held)  # … and nothing else
    outside = imports_of("defectdistill.registry.served_model", set()) - sys.stdlib_module_names
    assert {DISTRIBUTIONS.get(name, name) for name in outside} == set(SERVING)


def test_extras_of_what_is_needed_count():
    assert "h11" in closure(["uvicorn"])
    assert "websockets" not in closure(["uvicorn"])
    assert "websockets" in closure(["uvicorn[standard]"])


def imports_of(module, seen):
    """Return the top names of what a module of this package imports, directly or through others of the package."""
    seen.add(module)
    outside = set()
    for node in ast.walk(ast.parse((PROJECT / "src" / f"{module.replace('.', '/')}.py").read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        for name in names:
            if not name.startswith("defectdistill"):
                outside.add(name.split(".")[0])
            elif name not in seen and (PROJECT / "src" / f"{name.replace('.', '/')}.py").is_file():
                outside |= imports_of(name, seen)
    return outside


def test_the_signature_and_its_example_of_two_images(model, predictor):
    loaded = load_model(str(model))
    assert [(item.name, item.type.name) for item in loaded.metadata.signature.inputs] == [("image", "binary")]
    outputs = [(item.name, item.type.name) for item in loaded.metadata.signature.outputs]
    assert outputs == [("class", "string"), *((name, "double") for name in COLUMNS[1:])]
    example = loaded.input_example
    assert len(example) == 2
    table = loaded.predict(example)
    assert list(table.columns) == COLUMNS
    expected = predictor([decode_image(data) for data in example["image"]])
    np.testing.assert_allclose(table[COLUMNS[2:]], expected.probabilities, atol=1e-6)
    assert list(table["class"]) == expected.classes


def test_it_runs_where_the_package_is_not_installed(model, predictor, tmp_path):
    """`-S` leaves out the file that puts an editable install on the path."""
    image = encoded("PNG", "L", (90, 50))
    (tmp_path / "image.png").write_bytes(image)
    script = (
        "import importlib.util, json, pandas; from mlflow.pyfunc import load_model;"
        "assert importlib.util.find_spec('defectdistill') is None;"
        f"model = load_model({str(model)!r}); import defectdistill.predict;"
        f"assert defectdistill.predict.__file__.startswith({str(model)!r}), defectdistill.predict.__file__;"
        "table = pandas.DataFrame({'image': [open('image.png', 'rb').read()]});"
        "print('RESULT' + model.predict(table).to_json(orient='records'))"
    )
    packages = str(Path(np.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        env=environment(PYTHONPATH=packages, PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout.split("RESULT")[1])
    np.testing.assert_allclose(probabilities(table), predictor([decode_image(image)]).probabilities, atol=1e-6)


@pytest.fixture(scope="module")
def server(project):
    """The address of `mlflow models serve` with the champion; its processes are ended together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"mlflow models serve -m models:/classifier@champion --env-manager local -h 127.0.0.1 -p {port}"
    with open(project / "serve.log", "w") as log:
        process = subprocess.Popen(
            command.split(), cwd=project, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield wait_for(f"http://127.0.0.1:{port}", process, project / "serve.log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(address, process, log):
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/ping")
            return address
        except urllib.error.URLError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def ask(server, *images):
    """Post images; return the status, and the rows or the error's message."""
    rows = [{"image": base64.b64encode(data).decode()} for data in images]
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(f"{server}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


@pytest.mark.parametrize(
    "image",
    [encoded("JPEG", "RGB", (200, 333)), encoded("JPEG", "L", (33, 20)), encoded("PNG", "RGBA", (64, 64))],
    ids=["jpeg", "grey", "transparent"],
)
def test_it_answers_as_the_predictor_does(server, predictor, image):
    status, rows = ask(server, image)
    assert status == 200
    expected = predictor([decode_image(image)])
    np.testing.assert_allclose(probabilities(rows), expected.probabilities, atol=1e-6)
    assert rows[0]["class"] == expected.classes[0]
    assert rows[0]["entropy"] == pytest.approx(expected.entropy[0], abs=1e-6)


def test_it_takes_several_images_of_different_sizes(server, predictor):
    images = [encoded("JPEG", "CMYK", (20 + 10 * seed, 70), seed) for seed in range(5)]
    status, rows = ask(server, *images)
    assert status == 200
    expected = predictor([decode_image(data) for data in images]).probabilities
    np.testing.assert_allclose(probabilities(rows), expected, atol=1e-6)


def header_of(width, height):
    """Return the start of a PNG that claims to be large."""
    fields = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = struct.pack(">I", zlib.crc32(b"IHDR" + fields)) + b"\0\0\0\0IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + fields + end


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"\x00garbage\xff", "image 1: not an image of a known kind"),
        (b"", "image 1: zero bytes"),
        (encoded("JPEG", "RGB", (99, 99))[:700], "image 1: truncated or damaged"),
        (header_of(1000, 501), "image 1: 1000×501 = 501000 pixels, more than the limit of 500000"),
        (header_of(60_000, 60_000), "image 1: larger than"),
    ],
    ids=["garbage", "empty", "truncated", "above the limit", "bomb"],
)
def test_what_is_no_image_is_refused_by_name_and_the_server_goes_on(server, image, message):
    good = encoded("PNG", "RGB", (30, 30))
    status, answer = ask(server, good, image)
    assert status == 400
    assert message in answer
    assert ask(server, good)[0] == 200
