"""Who may talk to the page: browsers of this machine that show this page, and nobody who keeps it waiting."""

import asyncio
from collections.abc import Callable

import h11
from starlette.datastructures import Headers
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.predict.web.refusal import Refusal

IDLE_S = 20.0  # without a byte from or to a client, or for the head of a request, before it is hung up on
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CHANGING = {"POST", "PUT", "PATCH", "DELETE"}


class Guard:
    """ASGI middleware: refuses requests that another site caused, and sends security headers with every answer.

    A site elsewhere can make its own name lead to 127.0.0.1 (DNS rebinding); then the Host header is its name. It can
    also send requests from its own page; then the browser says so in Origin and Sec-Fetch-Site. Clients that are no
    browsers send neither.

    hosts : the values of Host under which the page is reached, with the port.
    """

    def __init__(self, app, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                new = [(name.lower().encode(), value.encode()) for name, value in SECURITY.items()]
                new += [(b"cache-control", b"no-store")] if b"cache-control" not in there else []
                message["headers"] = [*message["headers"], *new]
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        app = refusal.response() if refusal is not None else self._app
        await app(scope, receive, send_safely)

    def _refusal(self, method: str, headers: Headers) -> Refusal | None:
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            return Refusal(421, f"this page is at {' or '.join(sorted(self._hosts))} and at no other host")
        origin = headers.get("origin")
        elsewhere = origin is not None and origin.lower() != f"http://{host}"
        elsewhere |= origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if method in _CHANGING and elsewhere:
            return Refusal(403, "another site may not use this page")
        return None


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, that hangs up on a client that is silent within a request or does not read.

    uvicorn itself only ends connections that are silent between two requests.
    """

    idle_s = IDLE_S

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._reading = self._soon(transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE and self._reading is not None:
            return  # the head of a request has so long as a whole, not for every byte
        self._reading = _stop(self._reading)
        if state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing():
            self._reading = self._soon(self.transport.abort)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = _stop(self._writing) or self._soon(self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing = _stop(self._writing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading, self._writing = _stop(self._reading), _stop(self._writing)
        super().connection_lost(exc)

    def _soon(self, call: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_later(self.idle_s, call)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
