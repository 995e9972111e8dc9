"""What the page answers where it does not do what it was asked for: a status and one sentence."""

import asyncio
import contextlib

from starlette.responses import JSONResponse

LINGER_S = 5.0


class Refusal(Exception):
    """An answer other than success.

    status : of HTTP.      sentence : says what was found and what to do.
    retry_s : after which it may be tried again; None: not worth trying.
    unread : the body of the request may still be on its way.
    """

    def __init__(self, status: int, sentence: str, *, retry_s: int | None = None, unread: bool = False) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.retry_s, self.unread = status, sentence, retry_s, unread

    def response(self) -> JSONResponse:
        """Return it as {"error": sentence}."""
        headers = {"Retry-After": str(self.retry_s)} if self.retry_s is not None else {}
        kind = _Lingering if self.unread else JSONResponse
        return kind({"error": self.sentence}, status_code=self.status, headers=headers)


class _Lingering(JSONResponse):
    """An answer at once to a request that is still being sent.

    The rest is thrown away for some seconds before the connection is closed: closed with bytes unread, it would be
    reset, and many clients would never see the answer.
    """

    async def __call__(self, scope, receive, send) -> None:
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        if not any(name == b"expect" for name, _ in scope["headers"]):  # who waits for "100 Continue" sends nothing
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    while (message := await receive()).get("more_body"):
                        del message
        await send({"type": "http.response.body", "body": b"", "more_body": False})
