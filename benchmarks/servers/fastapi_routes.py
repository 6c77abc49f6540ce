"""FastAPI twice: a route with pydantic's lists, and one that takes the body and has orjson parse it."""

import sys

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from benchmarks.servers.network import Network

NETWORK = Network(sys.argv[2])
app = FastAPI()


class Question(BaseModel):
    """Rows of numbers."""

    inputs: list[list[float]]


class Answer(BaseModel):
    """A row of outputs for each."""

    outputs: list[list[float]]


@app.post("/pydantic")
async def pydantic(question: Question) -> Answer:
    """As the framework's tutorial would have it."""
    return Answer(outputs=NETWORK.forward(question.inputs).tolist())


@app.post("/orjson")
async def straight(request: Request) -> Response:
    """Past the framework's own parsing."""
    outputs = NETWORK.forward(orjson.loads(await request.body())["inputs"])
    content = orjson.dumps({"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
