"""Predictions of a large dataset, asked for at a plant."""

from core.batch_prediction import check
from core.checkpoint import Checkpoint
from core.prediction_spec import PredictionSpec
from core.predictor import Predictor
from tests.worker.conftest import TENANT, Plant

ROWS = 40_000
# Every piece of 256 rows is a part of its own, so that there is time to interfere.
OFTEN = {"NUDGE_PART_S": "0.0001", "NUDGE_RENEW_S": "0.2"}


class Asked:
    """Predictions of a plant's own large dataset with a model that it trains for a moment."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.rows = plant.add_rings(ROWS)
        self.model = plant.wait_over(plant.submit(epochs=1)).model_id

    def submit(self, **changes: object) -> str:
        body = {"dataset": self.rows, "model": self.model, "outputs": True}
        spec, models = PredictionSpec.model_validate(body | changes), self.plant.models
        predictor = Predictor.from_checkpoint(Checkpoint.from_bytes(models.load(models.get(TENANT, spec.model))))
        schema = self.plant.datasets.get(TENANT, spec.dataset).schema
        estimate, rows = check(spec, predictor, schema), len(spec.chosen(schema))
        job_id = self.plant.jobs.submit(TENANT, spec, estimate, rows=rows).job.id
        self.plant.bell.ring(job_id)
        return job_id

    def wait_part(self, job_id: str, attempt: int, beyond: int = 0) -> int:
        """Wait for a part of an attempt, behind so many rows; gives how many are done."""
        found = self.plant.wait(job_id, lambda job: job.attempt >= attempt and (job.rows_done or 0) > beyond)
        done = found.rows_done or 0
        assert done < ROWS, "it was too fast to be interfered with"
        return done

    def digest(self, job_id: str) -> str:
        job = self.plant.wait_over(job_id)
        assert job.status == "succeeded", job.status_reason
        assert (job.rows_done, job.rows, job.fraction, job.bit_exact) == (job.rows, job.rows, 1.0, True)
        return self.plant.predictions.get(TENANT, job_id).blob

    def told(self, job_id: str, kind: str, name: str) -> list[int]:
        return [event.data[name] for event in self.plant.jobs.events(TENANT, job_id) if event.type == kind]
