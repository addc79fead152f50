"""Send a large body piece by piece, at the pace of its client."""

from fastapi import Response
from starlette.types import Receive, Scope, Send

from api_service.edge.answer_memory import HeldAnswer


class HeldResponse(Response):
    """Send a held answer as JSON; the server asks for the next piece when the last is taken."""

    media_type = "application/json"

    def __init__(self, answer: HeldAnswer) -> None:
        super().__init__()
        self._answer = answer
        self.headers["Content-Length"] = str(answer.size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            await send(start)
            for piece in self._answer.take_pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            self._answer.drop()
