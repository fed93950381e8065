"""An S3 and an SFTP server on this machine, of rclone's, which stop with the block that started them."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

KEY, SECRET = "an-access-key", "a-secret-key"  # rclone refuses keys of two characters and less


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(protocol: str, folder: Path, log: Path, *options: str) -> Iterator[int]:
    """Serve a folder by `rclone serve PROTOCOL`; yields the port."""
    port = free_port()
    command = ["rclone", "serve", protocol, "--addr", f"127.0.0.1:{port}", *options, str(folder)]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            wait_for(port, server, log)
            yield port
        finally:
            server.terminate()


def wait_for(port: int, server: subprocess.Popen, log: Path) -> None:
    """Return when a server answers; raises RuntimeError with its log if it ends, or does not within half a minute."""
    for _ in range(300):
        if server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        time.sleep(0.1)
    raise RuntimeError(f"{server.args} does not answer: {log.read_text()}")


@contextlib.contextmanager
def s3_server(folder: Path, log: Path) -> Iterator[str]:
    """Serve the folders in `folder` as buckets; yields the endpoint's URL."""
    with serving("s3", folder, log, "--auth-key", f"{KEY},{SECRET}") as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def sftp_server(folder: Path, log: Path) -> Iterator[int]:
    """Serve a folder as the root of an SFTP server, by password; yields the port."""
    with serving("sftp", folder, log, "--user", KEY, "--pass", SECRET) as port:
        yield port
