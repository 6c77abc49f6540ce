"""The compiled forward of a predictor beside NumPy's: every layer, with masks and without, any number of rows."""

import numpy as np
import pytest

from core.predictor import Predictor
from tests.core.layer_cases import CASES
from tests.core.onnx_runtime import checkpoint
from tests.core.test_onnx import LAYERS, MASKED, STACKS, in_both_types, inputs

BOUNDS = {"float64": 1e-12, "float32": 1e-5}
SIZES = [3, 1, 20, 2, 20, 1, 7, 300, 5, 1] * 2  # those above a batch's rows are computed in several


def compare(made, x, masks=None):
    """20 predictions with the same predictors; each row's bits are the same alone and among others."""
    plain, compiled = Predictor.from_checkpoint(made), Predictor.from_checkpoint(made, compiled=True)
    dtype = made.spec["dtype"]
    whole = {}
    for turn, size in enumerate(SIZES):
        rows = np.resize(np.arange(len(x)), size)
        mask = None if masks is None or turn % 3 == 0 else masks[rows]
        expected, outputs = plain.predict(x[rows], mask), compiled.predict(x[rows], mask)
        assert outputs.dtype == expected.dtype == dtype
        np.testing.assert_allclose(outputs, expected, rtol=BOUNDS[dtype], atol=BOUNDS[dtype])
        known = whole.setdefault(mask is None, {})
        for row, output in zip(rows.tolist(), outputs, strict=True):
            assert (known.setdefault(row, output) == output).all(), row


@in_both_types
@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda v: getattr(v, "type", str(v)))
def test_every_layer_computes_the_same(layer, shape, dtype):
    compare(checkpoint([layer], shape, dtype=dtype), inputs([layer], shape, rows=20))


@in_both_types
@pytest.mark.parametrize("stack", STACKS)
def test_stacks_compute_the_same(stack, dtype):
    shape, layers = STACKS[stack][0], LAYERS.validate_python(STACKS[stack][1])
    compare(checkpoint(layers, shape, dtype=dtype, loss={"type": "cross_entropy"}), inputs(layers, shape, rows=20))


@in_both_types
@pytest.mark.parametrize("layer", MASKED, ids=lambda layer: layer.type)
def test_masks_count_where_they_come(layer, dtype):
    masks = np.random.default_rng(2).random((20, 4)) < 0.6
    compare(checkpoint([layer], (4, 6), dtype=dtype, masked=True), inputs([layer], (4, 6), rows=20), masks)
