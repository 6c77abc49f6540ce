"""Weights from elsewhere, to begin a job with."""

from pathlib import Path

from client.schemas import Page, Weights
from client.transport import Transport

UPLOAD_TIMEOUT_S = 600.0


class WeightSets:
    """`client.weights`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, path: str | Path) -> Weights:
        """Upload a safetensors or NPZ file whose tensors are named as an export names them; a job begins with them by
        `from_weights`. Raises NudgeError for anything else, pickles above all."""
        with Path(path).open("rb") as file:
            request = self._transport.http.build_request(
                "POST", "/v1/weights", files={"file": (Path(path).name, file)}, timeout=UPLOAD_TIMEOUT_S
            )
            return Weights.model_validate_json(self._transport.send(request, again=False).content)

    def get(self, weights: str) -> Weights:
        """The weights with this id."""
        return Weights.model_validate_json(self._transport.get(f"/v1/weights/{weights}").content)

    def list(self, limit: int | None = None, cursor: str | None = None) -> Page[Weights]:
        """Some of the uploaded weights, newest first."""
        answer = self._transport.get("/v1/weights", limit=limit, cursor=cursor)
        return Page[Weights].model_validate_json(answer.content)

    def delete(self, weights: str) -> None:
        """Delete uploaded weights; jobs that began with them keep what they need."""
        self._transport.delete(f"/v1/weights/{weights}")
