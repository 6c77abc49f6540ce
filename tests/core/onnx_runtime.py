"""A model as an ONNX file beside the model itself: checked by ONNX's own checker, computed by onnxruntime."""

import numpy as np
import onnx
import onnxruntime

from core.checkpoint import Checkpoint
from core.network import Network
from core.onnx import to_onnx
from core.predictor import Predictor
from core.schema import ClassTarget, Column, DataSchema

ORDINARY = {"loss": {"type": "quadratic"}, "dtype": "float32"}


def checkpoint(layers, shape, *, seed=0, preprocessing=(), arrays=None, masked=False, **spec):
    """A checkpoint of layers with random parameters and state."""
    random = np.random.default_rng(seed)
    network = Network.trace(layers, shape)
    dtype = (ORDINARY | spec)["dtype"]
    tensors = {p.name: random.normal(0, 0.5, p.variable.shape).astype(dtype) for p in network.parameters()}
    for piece in network.state():
        tensors[f"state.{piece.name}"] = random.uniform(0.5, 2, piece.variable.shape).astype(dtype)
    tensors |= {f"preprocessing.{name}": array for name, array in (arrays or {}).items()}
    told = ORDINARY | spec | {"network": {"layers": [layer.model_dump(mode="json") for layer in layers]}}
    columns = (Column(name="steps", role="mask"),) if masked else ()
    target = ClassTarget(classes=("ash", "elm", "ölbaum"))
    schema = DataSchema(rows=9, input_shape=shape, input_dtype="float32", target=target, columns=columns)
    return Checkpoint(0, 0, told, schema, list(preprocessing), tensors)


def open_onnx(content):
    """The file, checked, and a session that computes it; what runtimes warn of is an error."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return model, onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def compare(checkpoint, x, mask=None, tolerance=1e-5):
    """onnxruntime's outputs beside the predictor's, for all rows and for one; gives the file's model."""
    model, session = open_onnx(to_onnx(checkpoint, "trees", {}))
    for rows in (len(x), 1):
        given = {"inputs": x[:rows].astype(checkpoint.spec["dtype"])}
        if mask is not None:
            given["mask"] = mask[:rows]
        assert {one.name for one in session.get_inputs()} == set(given)
        [outputs] = session.run(["outputs"], given)
        expected = Predictor.from_checkpoint(checkpoint).predict(x[:rows], None if mask is None else mask[:rows])
        assert outputs.dtype == expected.dtype == checkpoint.spec["dtype"]
        assert outputs.shape == expected.shape
        np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
    return model
