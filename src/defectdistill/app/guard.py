"""What the server refuses before the page hears of it, and what it tells the browser not to do.

Another web site that is open in the same browser can send requests to this machine: by its own address (told by
`Origin` and `Sec-Fetch-Site`), or under a name of its own that leads here (told by `Host`). Neither is answered, but
for a link to the page itself. Gradio would fetch an address that a path names, and hand it on as ours: it may not. The
browser is told to load nothing from elsewhere.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

# Gradio's page has scripts of its own within the page, and makes functions of templates.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

ELSEWHERE = re.compile(r"/(?:file[=/]\s*(?:[a-z][a-z0-9+.-]+:|[/\\]{2})|proxy=)", re.IGNORECASE)  # C: is no scheme

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Middleware around an ASGI application. `only_loopback`: the page answers under this machine's own names alone.

    `body_limit` is the most that a request may send, in bytes.
    """

    def __init__(self, app: Callable, only_loopback: bool, body_limit: int):
        self.app, self.only_loopback, self.body_limit = app, only_loopback, body_limit

    async def __call__(self, scope: Scope, receive: Callable, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        refusal = self.refusal(scope["method"], scope["path"], headers)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        answer = self.app if refusal is None else PlainTextResponse(refusal[1], refusal[0])
        await answer(scope, receive, with_headers)

    def refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and words for a request that is not answered, None for any other."""
        host = headers.get("host", "")
        if self.only_loopback and not is_loopback(name_of(f"//{host}")):
            return 421, f"This page answers as localhost, not as {host!r}."
        origin = headers.get("origin")
        if origin is not None and (origin == "null" or address_of(origin) != host.lower()):
            return 403, f"A page of {origin!r} may not use this one."
        if headers.get("sec-fetch-site") == "cross-site" and path != "/":
            return 403, "A page from elsewhere may not use this one."
        if ELSEWHERE.search(path):
            return 403, "Nothing is fetched from elsewhere."
        if method in ("GET", "HEAD", "OPTIONS"):
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "A request must say how long it is."
        if int(length) > self.body_limit:
            return 413, f"{length} bytes are more than the limit of {self.body_limit}."
        return None


def is_loopback(name: str | None) -> bool:
    """Whether a name or an address, one to listen on or one that a browser asks for, is this machine's to itself."""
    try:
        return (name or "").lower() == "localhost" or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return False


def name_of(url: str) -> str | None:
    """Return the name of the machine in a URL, in small letters; None where there is none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def address_of(url: str) -> str | None:
    """Return name and port of a URL as they stand, in small letters; None where there is none."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return None
