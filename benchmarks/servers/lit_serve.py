"""LitServe: one worker, no batching of its own, its own reading of JSON."""

import sys
from typing import Any

import litserve
import numpy as np

from benchmarks.servers.network import Network


class Lit(litserve.LitAPI):
    """The network in LitServe's four steps."""

    def setup(self, device: str) -> None:
        """Load the weights, in the worker's process."""
        self.network = Network(sys.argv[2])

    def decode_request(self, request: dict[str, Any]) -> Any:
        """The rows."""
        return np.asarray(request["inputs"], np.float32)

    def predict(self, x: Any) -> Any:
        """The outputs."""
        return self.network.forward(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """As lists."""
        return {"outputs": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Lit(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="warning", generate_client_file=False
    )
