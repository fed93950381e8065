"""Other web sites, in the same browser, can neither use the page nor be loaded by it."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from defectdistill.app.guard import Guard, is_loopback


def client(only_loopback=True, base_url="http://localhost:7860"):
    async def answer(request):
        return PlainTextResponse(f"{len(await request.body())}")

    inner = Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path in ("/", "/{rest:path}")])
    return TestClient(Guard(inner, only_loopback, body_limit=100), base_url=base_url)


@pytest.mark.parametrize(
    "base", ["http://localhost:7860", "http://127.0.0.1:7860", "http://[::1]:7860", "http://LOCALHOST"]
)
def test_it_answers_under_this_machine_s_names(base):
    assert client(base_url=base).get("/").status_code == 200
    assert client(base_url=base).post("/", content=b"abc", headers={"origin": base.lower()}).text == "3"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "", "[", "a@b:x"]
)
def test_another_name_that_leads_here_is_refused(host):
    assert client().get("/", headers={"host": host}).status_code == 421
    assert client(only_loopback=False).get("/", headers={"host": "lab-pc:7860"}).status_code == 200


@pytest.mark.parametrize("only_loopback", [True, False])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8000", "null", "http://[", ""])
def test_a_page_from_elsewhere_is_refused(origin, only_loopback):
    answer = client(only_loopback).post("/", content=b"x", headers={"origin": origin})
    assert answer.status_code == 403
    assert client(only_loopback).get("/", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=http://evil.example/x.png", "gradio_api/file=HTTPS://evil.example/x.png", "proxy=http://x",
        "gradio_api/file=%68ttp://evil.example/x.png", "gradio_api/file=//evil.example/x.png", "file=ftp:/x",
        "gradio_api/file/http://evil.example/x.png", "gradio_api/proxy=https://evil.example/x",
        "gradio_api/file=%20http://evil.example/x.png", "gradio_api/file=%5C%5Cevil.example/x.png",
    ],
)  # fmt: skip
def test_nothing_is_fetched_from_elsewhere(path):
    assert client().get(f"/{path}").status_code == 403
    assert client(only_loopback=False).get(f"/{path}").status_code == 403


def test_a_page_from_elsewhere_may_link_to_this_one_and_no_more():
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client().get("/", headers=elsewhere).status_code == 200
    assert client().get("/gradio_api/file=/tmp/x.png", headers=elsewhere).status_code == 403
    for path in ("/gradio_api/file=/tmp/x.png", "/gradio_api/file=C:/tmp/x.png", "/assets/index.js"):
        assert client().get(path, headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.0.0.2", True), ("LOCALHOST", True),
        ("0.0.0.0", False), ("192.0.2.1", False), ("::", False), ("lab", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_which_names_are_this_machine_s_alone(name, expected):
    assert is_loopback(name) == expected
    if name is not None:
        host = f"[{name}]" if ":" in name else name
        assert (client().get("/", headers={"host": f"{host}:7860"}).status_code == 200) == expected


def test_requests_are_limited():
    assert client().post("/", content=bytes(100)).text == "100"
    assert client().post("/", content=bytes(101)).status_code == 413
    assert client().post("/", content=iter([b"a", b"b"])).status_code == 411
    assert client().post("/", content=b"a", headers={"content-length": "-1"}).status_code == 411


def test_the_browser_is_told_to_load_nothing_from_elsewhere():
    for answer in (client().get("/"), client().post("/", content=bytes(101))):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "http" not in policy
        assert "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
