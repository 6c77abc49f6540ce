"""The limit: a handler without framework or checks, for JSON and for raw float32."""

import sys
from typing import Any

import numpy as np
import orjson
import uvicorn

from benchmarks.servers.network import Network

NETWORK = Network(sys.argv[2])


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers every POST."""
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    if scope["path"] == "/raw":
        outputs = NETWORK.forward(np.frombuffer(body, "<f4").reshape(-1, 784)).tobytes()
    else:
        outputs = NETWORK.forward(orjson.loads(body)["inputs"])
        outputs = orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(outputs)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": outputs})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", log_level="warning")
