"""What the pages of `watch` and `serve` share: a server on the loopback interface, and a film as motion JPEG."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mien.errors import ConfigError

HOST = "127.0.0.1"
END_S = 3  # for answers under way when a server ends
QUALITY = 85  # of the JPEGs
_POLL_S = 0.02  # between two looks for a newer picture
_BOUNDARY = "picture"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>mien watch</title>
<style>body{margin:0;background:#14171c;display:grid;place-items:center;min-height:100vh}
img{max-width:100vw;max-height:100vh}</style><img src="film" alt="the film as it is judged"></html>"""


def listen(port: int) -> socket.socket:
    """Return a socket at 127.0.0.1 that listens.

    Raises
    ------
    ConfigError : the port is none, or taken.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"--port {port}: a port is in 0..65535")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise ConfigError(f"{HOST}:{port} cannot be used ({error.strerror}); choose another --port, or 0") from error


def address_of(door: socket.socket) -> str:
    """Return where a browser finds the page behind a listening socket."""
    return f"http://{HOST}:{door.getsockname()[1]}/"


def make_app(**options) -> FastAPI:
    """Return an app for browsers on this machine; `options` are FastAPI's.

    A site elsewhere can make its own name lead to 127.0.0.1 (DNS rebinding): then the header Host is its name.
    """
    app = FastAPI(openapi_url=None, **options)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return app


def make_server(app: FastAPI) -> uvicorn.Server:
    """Return a server that prints nothing but warnings."""
    options = {"log_config": None, "log_level": "warning", "access_log": False, "timeout_graceful_shutdown": END_S}
    return uvicorn.Server(uvicorn.Config(app, **options))


class MjpegPage:
    """Serves the newest picture on a free port (motion JPEG), while used by `with`.

    Attributes
    ----------
    address : of the page, to open in a browser.
    watched : an event that the first viewer sets.
    """

    def __init__(self) -> None:
        self.watched = threading.Event()
        self._jpeg: bytes | None = None
        self._ended = False
        app = make_app()
        app.get("/", response_class=HTMLResponse)(lambda: _PAGE)
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        app.get("/film")(lambda: StreamingResponse(self._stream(), media_type=kind))
        self._server = make_server(app)

    def __enter__(self) -> "MjpegPage":
        self._door = listen(0)
        self.address = address_of(self._door)
        self._thread = threading.Thread(target=self._server.run, args=([self._door],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._ended = True
        self._server.should_exit = True
        self._thread.join(2 * END_S)
        self._door.close()

    def show(self, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 RGB to all viewers from now on."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        self._jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()

    async def _stream(self) -> AsyncIterator[bytes]:
        """Yield the newest picture whenever there is a newer one; a slow viewer misses some."""
        self.watched.set()
        shown = None
        yield f"--{_BOUNDARY}\r\n".encode()
        while True:
            if (jpeg := self._jpeg) is not shown:
                shown = jpeg
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                # The boundary behind the picture tells the browser at once that it is whole.
                yield head.encode() + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
            elif self._ended:
                return
            else:
                await asyncio.sleep(_POLL_S)
