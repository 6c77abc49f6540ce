"""The HTTP parser's own refusals, which no application sees, as problems too."""

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problem_details import MEDIA_TYPE, Problem

MALFORMED_REQUEST = Problem(
    400, "malformed-request", "The request is not HTTP", "The request line, a header or the framing is not HTTP/1.1."
)


class ProblemProtocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, with problem+json where the bytes are no request at all."""

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, and close: nothing behind it can be trusted."""
        body = orjson.dumps(
            {
                "type": MALFORMED_REQUEST.type,
                "title": MALFORMED_REQUEST.title,
                "status": MALFORMED_REQUEST.status,
                "detail": f"{MALFORMED_REQUEST.meaning} Check the Content-Length and the headers, and send it again.",
                "instance": "",
            }
        )
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
