"""Rows of a dataset as the inputs of a prediction, with the dataset's own masks."""

import math

import numpy as np

from core.data import Dataset
from core.masks import check_mask_values, check_masks
from core.predictor import Predictor
from core.spec import Finding, SpecError
from service.arrays import Inputs
from service.dependencies import checked_id
from service.prediction_requests import Batch, PredictRowsRequest
from store.datasets import Datasets


def read(datasets: Datasets, tenant: str, predictor: Predictor, wanted: PredictRowsRequest) -> Batch:
    """The rows; fewer than `limit` where the dataset ends.

    Raises:
        NotFound: there is no such dataset.
        SpecError: it is not of the model's input shape, has no such rows, or masks that do not fit.
    """
    record = datasets.get(tenant, checked_id("dataset", wanted.dataset))
    schema, shape = record.schema, predictor.input_shape
    if schema.input_shape != shape and schema.input_shape != (math.prod(shape),):
        detail = f"Its inputs are of shape {list(schema.input_shape)}; the model takes {list(shape)}."
        raise SpecError([Finding("/dataset", detail)])
    if wanted.offset >= schema.rows:
        detail = f"The dataset has {schema.rows} rows: the last is {schema.rows - 1}."
        raise SpecError([Finding("/offset", detail)])
    if found := list(check_masks(predictor.network, schema, "/dataset")):
        raise SpecError(found)
    rows = np.arange(wanted.offset, min(schema.rows, wanted.offset + wanted.limit))
    data = datasets.open(record)
    inputs = data.x[rows].reshape(len(rows), *shape)
    return Batch(inputs, _mask(predictor, data, rows), wanted.top, "dataset", wanted.offset)


def _mask(predictor: Predictor, data: Dataset, rows: Inputs) -> Inputs | None:
    if not predictor.network.masked or not data.masks:
        return None
    check_mask_values(predictor.network, data, "/dataset")
    return data.mask(rows)
