"""Runs the page's server: on this machine alone unless told, with nothing sent to anybody."""

import contextlib
import errno
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from defectdistill.app.collection import Collection
from defectdistill.app.guard import Guard, is_loopback
from defectdistill.app.limits import MEGABYTE, Limits
from defectdistill.app.loaded import STUDENT, Loaded

# Read by Gradio and its helpers when they are imported.
SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",  # the one form that MLflow takes; the others take it too
}
ADDED = 4 * MEGABYTE  # bytes of a request beside the file: form, and the drawing of a mask


def serve(host: str, port: int, models: Path, collect: Path, limits: Limits) -> None:
    """Serve the page until it is interrupted.

    Raises ValueError where the port is taken or the extra `app` is not installed, and what `Loaded.open` raises.
    """
    with contextlib.closing(bound(host, port)) as listener, tempfile.TemporaryDirectory(prefix="defectdistill-") as own:
        loaded = Loaded.open(models)
        os.environ.update(SILENT | {"GRADIO_TEMP_DIR": own})
        application = build(loaded, Collection(collect, loaded.classes), limits, Path(own), is_loopback(host))
        for line in loaded.missing:
            print(f"note: {line}", file=sys.stderr)
        if not is_loopback(host):
            print(warning(host, collect), file=sys.stderr)
        print(f"open {address(host, listener.getsockname()[1])} in a browser; Ctrl-C ends it", flush=True)
        threading.Thread(target=loaded.neighbourhood, args=(STUDENT,), daemon=True).start()  # before anybody asks
        run(application, listener)


def address(host: str, port: int) -> str:
    """Return the address to open on this machine."""
    name = "localhost" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to host and port; raises ValueError saying what to do where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise ValueError(f"--host {host}: no address of this machine ({error}); give 127.0.0.1") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # at once again after an end
        listener.bind(address)
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise ValueError(f"--host {host}: no address of this machine ({error.strerror}); give 127.0.0.1") from error
        raise ValueError(
            f"port {port} of {host} cannot be used ({getattr(error, 'strerror', error)}): another program may have it, "
            f"perhaps this page once more; stop that, or give another port, such as --port {port + 1}"
        ) from error
    return listener


def warning(host: str, collect: Path) -> str:
    """Return what must be known before others can reach the page."""
    return (
        f"WARNING: on {host} everybody who can reach this machine, and any web site that one of them has open, can use "
        f"the page, see what it says, and put photographs into {collect}. It has no password "
        "and no encryption: let only a network reach it that you trust."
    )


def build(loaded: Loaded, collection: Collection, limits: Limits, uploads: Path, only_loopback: bool):
    """Return the ASGI application; `uploads` is where files arrive, the only folder of which it serves any."""
    try:
        import gradio
        from fastapi import FastAPI
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the page needs the package {error.name!r}, which is not installed: `make app`, or "
            "uv pip install -e '.[app]' -c constraints.txt"
        ) from error
    from defectdistill.app.page import STYLE, build_page, theme

    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gradio.mount_gradio_app(
        application,
        build_page(loaded, collection, limits, uploads),
        path="/",
        max_file_size=limits.bytes,
        theme=theme(),
        head=f"<style>{STYLE.read_text(encoding='utf-8')}</style>",  # as `css` Gradio would rewrite its selectors
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        show_error=True,
    )
    return Guard(application, only_loopback, limits.bytes + ADDED)


def run(application, listener: socket.socket) -> None:
    """Serve on a bound socket until Ctrl-C or a request to end."""
    import uvicorn

    config = uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2, server_header=False)
    # Uvicorn ends in order and sends itself the signal once more: without this the uploads would stay on the disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
