"""What every request passes first: who asks, from where, and how much; and what every answer carries."""

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from emorec_lobes.server.limits import Limits
from emorec_lobes.server.metrics import Metrics
from emorec_lobes.server.refusals import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "microphone=(self), camera=(), geolocation=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# Whatever else somebody asks for is counted as one: names without end would fill the memory.
_ROUTES = ("/", "/health", "/metrics", "/v1/classify", "/v1/timeline")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """An ASGI application around another one.

    Arguments
    ---------
    app : callable
    limits : Limits
    metrics : Metrics
    token : str, optional
        What requests to /v1 and /metrics must carry as `Authorization: Bearer TOKEN`.
    is_local : bool
        Whether only this machine is served: then the server must be called by a local name, or a
        page from elsewhere could reach it under a name that it made to point here.
    """

    def __init__(self, app: App, limits: Limits, metrics: Metrics, token: str | None, is_local: bool) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._token = token
        self._is_local = is_local

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Checks, passes on, counts."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        counted = _Counted(self._limits.max_body_bytes, receive, send)
        start = time.monotonic()
        try:
            self._check(scope)
            await self._app(scope, counted.receive, counted.send)
        except Refused as refusal:  # the application answers its own
            await refuse(refusal, scope, counted.receive, counted.send)
        finally:
            if scope["type"] == "http":
                route = scope["path"] if scope["path"] in _ROUTES else "other"
                self._metrics.request(route, counted.status, time.monotonic() - start)
        return None

    def _check(self, scope: Message) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self._is_local and _host(f"//{headers.get(b'host', '')}") not in _LOOPBACK:
            raise Refused(
                "`Host` must be localhost or 127.0.0.1 here. Start the server with --host to change that.", 403
            )
        if not scope["path"].startswith(("/v1/", "/metrics")):
            return
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            raise Refused("`Origin` must be this server: pages from elsewhere are not answered.", 403)
        if self._token is not None and not _is_bearer(headers.get(b"authorization", ""), self._token):
            raise Refused("`Authorization` must be `Bearer TOKEN` with this server's token, but is not.", 401)
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._limits.max_body_bytes:
            raise _too_large(self._limits.max_body_bytes)


async def refuse(refusal: Refused, scope: Message, receive: Receive, send: Send) -> None:
    """Answers a request, or a stream that has not begun, by a refusal."""
    from starlette.responses import JSONResponse
    from starlette.websockets import WebSocket

    response = JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


class _Counted:
    """One request's channels: the body counted as it comes, the status as it goes."""

    def __init__(self, max_bytes: int, receive: Receive, send: Send) -> None:
        self.status = 500  # unless it says otherwise
        self._max_bytes = self._left = max_bytes
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise _too_large(self._max_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *_missing(message.get("headers", ()))]
        await self._send(message)


def _missing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    lines = ((name.lower().encode(), value.encode()) for name, value in _HEADERS)
    return [(name, value) for name, value in lines if name not in there]


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_bearer(line: str, token: str) -> bool:
    scheme, _, word = line.partition(" ")
    # In a time that does not tell how much of the token was right.
    return scheme.lower() == "bearer" and hmac.compare_digest(word.strip().encode(), token.encode())


def _too_large(max_bytes: int) -> Refused:
    return Refused(f"The body must be at most {max_bytes} bytes, but is larger. Send the audio in parts.", 413)
