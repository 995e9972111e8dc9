"""A page on this machine that shows a running film: motion JPEG, which every browser plays in an image."""

import socket
import threading
from collections.abc import Iterator

import cv2
import numpy as np

HOST = "127.0.0.1"
QUALITY = 85  # of the JPEGs
_END_S = 2.0  # for viewers to get the last picture
_WAIT_S = 1.0  # for a picture, until it is looked whether the viewer is still there: each one holds a thread
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>mien watch</title>
<style>body{margin:0;background:#14171c;display:grid;place-items:center;min-height:100vh}
img{max-width:100vw;max-height:100vh}</style><img src="film" alt="the film as it is judged"></html>"""
_BOUNDARY = "picture"


class Page:
    """Serves the newest picture on a free port of the loopback address, for as long as it is used with `with`.

    address : of the page, to open in a browser.      watched : an event that the first viewer sets.
    """

    def __init__(self) -> None:
        self.watched = threading.Event()
        self._socket = socket.create_server((HOST, 0))
        self.address = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        self._jpeg, self._number, self._ended = b"", 0, False
        self._changed = threading.Condition()

    def __enter__(self) -> "Page":
        import uvicorn

        config = uvicorn.Config(self._app(), log_level="warning", timeout_graceful_shutdown=int(_END_S))
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.should_exit = True
        self._thread.join(2 * _END_S)
        self._socket.close()

    def show(self, picture: np.ndarray) -> None:
        """Show a picture (H, W, 3) uint8 RGB to all viewers from now on."""
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
        with self._changed:
            self._jpeg, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def _app(self):
        from fastapi import FastAPI
        from fastapi.responses import HTMLResponse, StreamingResponse
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        app = FastAPI(openapi_url=None)
        # A page elsewhere whose name was made to lead here (DNS rebinding) does not get the pictures.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        app.get("/", response_class=HTMLResponse)(lambda: _PAGE)
        film = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        app.get("/film")(lambda: StreamingResponse(self._film(), media_type=film))
        return app

    def _film(self) -> Iterator[bytes]:
        """Yield the newest picture whenever there is a newer one; a slow viewer misses some."""
        self.watched.set()
        number, boundary = 0, f"--{_BOUNDARY}\r\n"
        yield boundary.encode()
        while True:
            with self._changed:
                if self._number == number and not self._ended:
                    self._changed.wait(_WAIT_S)
                if is_new := self._number != number:
                    jpeg, number = self._jpeg, self._number
                elif self._ended:
                    return
            if not is_new:
                yield b""  # to a viewer who has gone, the server does not come back for more
                continue
            # The boundary behind the picture tells the browser at once that it is whole.
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + f"\r\n{boundary}".encode()
