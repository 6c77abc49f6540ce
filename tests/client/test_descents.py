"""A traced job's way down, from the client and the command line."""

import json

import pytest

from client import Client, Dataset, NudgeError
from client.descents import Grid, Point, Surface
from client.hill import hill, legend
from tests.client.conftest import ROOT, Run


def test_a_traced_job_shows_its_way(nudge: Client, iris: Dataset, run: Run) -> None:
    spec = json.loads((ROOT / "examples" / "iris.json").read_text("utf-8"))
    asked = {"dataset": iris.id, "epochs": 3, "name": "way", "batch_size": 20, "trace": {"surface": True}}
    job = nudge.jobs.submit(spec | asked).wait()
    found = job.surface()
    assert [point.step for point in found.minibatch] == [*range(found.updates + 1)]
    assert (found.minibatch[0].x, found.minibatch[0].cost) == pytest.approx((found.full[0].x, found.full[0].cost))
    drawn = run("jobs", "surface", job.id)
    assert drawn.returncode == 0, drawn.stderr
    assert all(mark in drawn.stdout for mark in ("S start", "• mini-batches", "○ full gradient"))
    assert json.loads(run("jobs", "surface", job.id, "--json").stdout) == found.to_json()

    slopes = job.gradients(2)
    assert slopes.steps == tuple(range(found.updates))
    assert slopes.angle is not None
    table = run("jobs", "gradients", job.id, "--step", 2).stdout
    assert "batch 3 of epoch 1, 20 of 120 rows" in table
    assert f"{slopes.angle:.1f}°" in table
    assert f"{slopes.layers[0].index} dense" in table
    beyond = run("jobs", "gradients", job.id, "--step", 999)
    assert beyond.returncode == 4
    assert f"the nearest where they were is {found.updates - 1}" in beyond.stderr


def test_a_job_that_was_not_traced_says_how(nudge: Client, iris: Dataset) -> None:
    spec = json.loads((ROOT / "examples" / "iris.json").read_text("utf-8"))
    job = nudge.jobs.submit(spec | {"dataset": iris.id, "epochs": 1, "name": "blind"}).wait()
    with pytest.raises(NudgeError, match="trace") as refused:
        job.surface()
    assert refused.value.status == 409


@pytest.mark.parametrize("colour", [False, True])
def test_the_hill_has_its_places_where_they_are(colour: bool) -> None:
    def point(step: int, x: float, y: float, cost: float | None) -> Point:
        return Point(step=step, x=x, y=y, off=0.0, cost=cost)

    grid = Grid(x=(0.0, 1.0, 2.0), y=(0.0, 1.0), cost=((0.1, 1.0, None), (10.0, 5.0, 1.0)))
    surface = Surface(
        job="job_1",
        parameters=5,
        updates=1,
        rows=9,
        cost_rows=9,
        share=(0.75, 0.25),
        minibatch=(point(0, 2.1, 0.9, 10.0), point(1, 0.0, 0.1, 0.1)),
        full=(point(0, 2.1, 0.9, 10.0), point(1, 1.2, 1.1, 5.0)),
        full_diverged=False,
        grid=grid,
    )
    top, bottom = hill(surface, colour=colour).plain.split("\n")
    assert top == ("  ○ S " if colour else "██○ S ")
    assert bottom == ("•     " if colour else "• ░░██")
    told = legend(surface, colour=colour).plain
    assert "mini-batches, 1 updates, down to 0.1" in told
    assert "75% and 25%" in told


@pytest.mark.parametrize("start", [2.741, 0.5, None])
def test_a_start_off_the_plane_flattens_no_hill(start: float | None) -> None:
    point = Point(step=0, x=0.0, y=0.0, off=4.86, cost=start)
    surface = Surface(
        job="job_1",
        parameters=5,
        updates=0,
        rows=9,
        cost_rows=9,
        share=(0.75, 0.25),
        minibatch=(point,),
        full=(point,),
        full_diverged=False,
        grid=Grid(x=(0.0, 1.0, 2.0, 3.0), y=(0.0,), cost=((0.807, 0.807, 0.9, 0.997),)),
    )
    assert hill(surface, colour=False).plain == "S   ░░██"
    grounds = {span.style.bgcolor for span in hill(surface, colour=True).spans if not isinstance(span.style, str)}
    assert len(grounds) == 3
