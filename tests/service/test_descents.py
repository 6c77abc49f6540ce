"""GET /v1/jobs/{id}/surface and /gradients, of a descent that a worker stored."""

import pytest

from core.data import Dataset
from core.survey import Survey
from core.trail import Trail
from core.training import fit
from core.training_spec import TrainingSpec
from tests.service.house import TENANT, House, is_problem

TRACED = {"trace": {"surface": True}}


def walk(house: House, dataset: str, job: str) -> Survey:
    """What a trainer does with the job, apart from training for its model."""
    spec = TrainingSpec.model_validate(house.jobs.get(TENANT, job).spec)
    data: Dataset = house.datasets.open(house.datasets.get(TENANT, dataset))
    trail = Trail(spec, data)
    for moment in fit(spec, data, stops=trail.stops):
        trail.see(moment)
    survey = Survey(trail)
    assert list(survey)
    return survey


@pytest.fixture(scope="module")
def traced(house: House, dataset: str) -> tuple[str, Survey]:
    job = house.submit(dataset, **TRACED)
    survey = walk(house, dataset, job)
    house.train(job, descent=survey.descent.model_dump_json().encode())
    return job, survey


def test_the_surface_is_what_was_seen(house: House, traced: tuple[str, Survey]) -> None:
    job, survey = traced
    answer = house.http.get(f"/v1/jobs/{job}/surface")
    assert answer.status_code == 200, answer.text
    found, seen = answer.json(), survey.descent.model_dump(mode="json")
    assert (found.pop("object"), found.pop("job")) == ("surface", job)
    assert found == {name: value for name, value in seen.items() if name not in ("slopes", "format")}
    again = house.http.get(f"/v1/jobs/{job}/surface", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_gradients_are_told_where_they_were_compared(house: House, traced: tuple[str, Survey]) -> None:
    job, survey = traced
    slopes = survey.descent.slopes[1]
    found = house.http.get(f"/v1/jobs/{job}/gradients", params={"step": slopes.step}).json()
    assert found["angle"] == slopes.angle
    assert found["layers"] == [layer.model_dump(mode="json") for layer in slopes.layers]
    assert found["steps"] == [known.step for known in survey.descent.slopes]
    beyond = house.http.get(f"/v1/jobs/{job}/gradients", params={"step": 10**6})
    problem = is_problem(beyond, 422, "step-not-recorded")
    assert problem["steps"] == found["steps"]
    assert problem["errors"][0]["pointer"] == "/query/step"
    is_problem(house.http.get(f"/v1/jobs/{job}/gradients"), 422, "invalid-parameter")


def test_a_job_without_a_descent_says_why(house: House, dataset: str) -> None:
    plain, waiting, stopped = (house.submit(dataset, **more) for more in ({}, TRACED, TRACED))
    house.http.post(f"/v1/jobs/{stopped}/cancel")
    for job, says in ((plain, '"trace"'), (waiting, "this job is queued"), (stopped, "this job was cancelled before")):
        for path in ("surface", "gradients?step=0"):
            problem = is_problem(house.http.get(f"/v1/jobs/{job}/{path}"), 409, "no-descent")
            assert says in problem["detail"]
    is_problem(house.http.get("/v1/jobs/job_" + 26 * "0" + "/surface"), 404)


def test_what_cannot_be_traced_is_refused_at_the_door(house: House, dataset: str) -> None:
    lonely = {"layers": [{"type": "dense", "units": 2**20}, {"type": "dense", "units": 2}]}
    spec = house.spec(dataset, network=lonely, **TRACED)
    problem = is_problem(house.http.post("/v1/jobs", json=spec), 422, "invalid-spec")
    assert problem["errors"][0]["pointer"] == "/trace/surface"
