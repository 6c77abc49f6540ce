"""The Python client of Nudge: upload data, train a network, watch it learn, ask it for predictions.

    from client import Client

    nudge = Client()
    digits = nudge.datasets.upload(images="images.gz", labels="labels.gz", name="digits")
    job = nudge.train(dataset=digits, validation=0.2, epochs=30, loss="cross_entropy",
                      network=["flatten", {"type": "dense", "units": 10}])
    for epoch in job.epochs():
        print(epoch.epoch, epoch.validation_accuracy)
    print(job.predict(images).predictions[0].label)

It speaks HTTP and needs no other part of the system.
"""

from client.client import Client
from client.errors import Finding, InputError, JobError, NudgeError, UnreachableError
from client.events import Event
from client.jobs import Job
from client.models import Model
from client.schemas import (
    Alias,
    BulkCancel,
    CheckpointRecord,
    Confusion,
    CostlyRow,
    Dataset,
    Epoch,
    Estimate,
    Evaluation,
    JobRecord,
    Metrics,
    ModelRecord,
    Page,
    Prediction,
    Predictions,
    Row,
    Weights,
)

__all__ = [
    "Alias",
    "BulkCancel",
    "CheckpointRecord",
    "Client",
    "Confusion",
    "CostlyRow",
    "Dataset",
    "Epoch",
    "Estimate",
    "Evaluation",
    "Event",
    "Finding",
    "InputError",
    "Job",
    "JobError",
    "JobRecord",
    "Metrics",
    "Model",
    "ModelRecord",
    "NudgeError",
    "Page",
    "Prediction",
    "Predictions",
    "Row",
    "UnreachableError",
    "Weights",
]
