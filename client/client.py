"""The client: one object for one server."""

import os
from typing import Any

from client.datasets import Datasets
from client.jobs import Job, Jobs
from client.models import Model, Models
from client.row_ranges import Rows, as_rows
from client.schemas import Dataset
from client.specs import Spec
from client.transport import Transport
from client.weights import WeightSets

DEFAULT_URL = "http://127.0.0.1:8080"


class Client:
    """Speaks to the Nudge server at `url` (default: the variable NUDGE_URL, else http://127.0.0.1:8080).

    `timeout` is how long one answer may take, in seconds. Safe to use from several threads; close it, or use
    it in a `with` block.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 30.0) -> None:
        self._transport = Transport(url or os.environ.get("NUDGE_URL") or DEFAULT_URL, timeout)
        self.datasets = Datasets(self._transport)
        self.jobs = Jobs(self._transport)
        self.models = Models(self._transport)
        self.weights = WeightSets(self._transport)

    @property
    def url(self) -> str:
        return self._transport.url

    def train(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: Any) -> Job:
        """Start training and return the job at once: iterate over it, wait for it, predict with it.

        `spec` is a training spec or the path of a JSON file that holds one; `fields` (dataset, network, loss,
        optimizer, epochs, ...) go over it. Short forms are described at `client.specs.complete`.
        """
        return self.jobs.submit(spec, idempotency_key=idempotency_key, **fields)

    def batch_predict(
        self,
        model: Model | str,
        dataset: Dataset | str,
        *,
        format: str = "csv",  # noqa: A002  the name the API gives it
        top: int | None = None,
        outputs: bool | None = None,
        rows: Rows | None = None,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Predict a whole dataset and return the job at once; `job.save_predictions(path)` waits and writes the file.

        `model` is a Model, or the id or name of one. The file is CSV, NPZ or Parquet (`format`) and names the `top`
        likeliest classes of each row, with all `outputs` where they are wanted. `rows` takes a part of the dataset: a
        range, or how many to pass over and how many to take. `fields` are name, priority, limits and metadata.
        """
        found = model if isinstance(model, Model) else self.models.get(model)
        wanted = {"format": format, "top": top, "outputs": outputs, "rows": as_rows(rows)}
        of = dataset if isinstance(dataset, str) else dataset.id
        return self.jobs.predict(found.id, of, idempotency_key=idempotency_key, **wanted, **fields)

    def close(self) -> None:
        self._transport.http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"
