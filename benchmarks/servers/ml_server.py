"""MLServer: the network as a runtime of one's own, computed in the server's process, which is quickest on one core."""

import asyncio
import sys

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.servers.network import Network


class Runtime(MLModel):
    """The network behind the Open Inference Protocol."""

    async def load(self) -> bool:
        """Load the weights."""
        self.network = Network(sys.argv[2])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One tensor in, one out."""
        outputs = self.network.forward(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", outputs)])


async def main() -> None:
    """Serve until stopped."""
    settings = Settings(
        host="127.0.0.1",
        http_port=int(sys.argv[1]),
        grpc_port=int(sys.argv[3]),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )
    server = MLServer(settings)
    await server.start([ModelSettings(name="network", implementation=Runtime)])


if __name__ == "__main__":
    asyncio.run(main())
