"""What is told about a network besides its cost. The union is the registry: a metric is one class and a word here."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from core.metrics.answers import by_class, correct
from core.metrics.counts import F1, Accuracy, Precision, Recall
from core.metrics.errors import MAE, R2, RMSE
from core.metrics.metric import Measured, Metric, Value
from core.metrics.tables import ConfusionMatrix, TopK

__all__ = [
    "F1",
    "MAE",
    "R2",
    "RMSE",
    "Accuracy",
    "AnyMetric",
    "ConfusionMatrix",
    "Measured",
    "Metric",
    "MetricOrName",
    "Precision",
    "Recall",
    "TopK",
    "Value",
    "by_class",
    "correct",
]

AnyMetric = Annotated[
    Accuracy | TopK | ConfusionMatrix | Precision | Recall | F1 | MAE | RMSE | R2,
    Field(discriminator="type"),
]


def _spelt_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


_Name = Literal["accuracy", "top_k", "confusion_matrix", "precision", "recall", "f1", "mae", "rmse", "r2"]

# The name of a type may stand for {"type": name}.
MetricOrName = Annotated[AnyMetric, BeforeValidator(_spelt_out, json_schema_input_type=AnyMetric | _Name)]
