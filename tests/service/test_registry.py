"""Names, versions and aliases: models found by them, moved under If-Match, and kept with notes and lineage."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.service.house import House, is_problem

Make = Callable[[str], dict[str, Any]]
ROW = {"inputs": [[1, 1]]}


@pytest.fixture
def make(house: House, trained: str) -> Make:
    """Makes the next version of a name."""
    checkpoint = house.http.get(f"/v1/jobs/{trained}").json()["checkpoint"]

    def make(name: str) -> dict[str, Any]:
        answer = house.http.post("/v1/models", json={"checkpoint": checkpoint, "name": name})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make


def point(house: House, alias: str, version: int, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.http.put(f"/v1/models/{alias}", json={"version": version}, headers=sent)


def test_a_model_answers_to_its_version_and_its_alias(house: House, make: Make) -> None:
    first, second = make("named-so"), make("named-so")
    assert point(house, "named-so/aliases/best", 2).json()["id"] == second["id"]
    view = house.http.get(f"/v1/models/{second['id']}").json()
    for ending in ("", "/export"):
        by_id = house.http.get(f"/v1/models/{second['id']}{ending}")
        for name in ("named-so@2", "named-so@best", "named-so%40best"):
            assert house.http.get(f"/v1/models/{name}{ending}").content == by_id.content
    assert view["aliases"] == ["best"]
    predicted = house.http.post("/v1/models/named-so@best/predict", json=ROW)
    assert predicted.json() == house.http.post(f"/v1/models/{second['id']}/predict", json=ROW).json()
    point(house, "named-so/aliases/best", 1)
    assert house.http.get("/v1/models/named-so@best").json()["id"] == first["id"]
    assert house.http.delete("/v1/models/named-so@2").status_code == 204
    is_problem(house.http.get(f"/v1/models/{second['id']}"), 404, "not-found")


@pytest.mark.parametrize(
    "named",
    ["lone", "lone@", "@1", "lone@99", "lone@0", "lone@99999999999999999999", "lone@none", "lone@\u0663",
     "lone%00@1", "lone@1@1", "mdl_1@1", "mdl_1", "a" * 70 + "@1"],
)  # fmt: skip
def test_what_names_no_model_is_not_found_and_told_how_to_name_one(house: House, make: Make, named: str) -> None:
    make("lone")
    for answer in (house.http.get(f"/v1/models/{named}"), house.http.post(f"/v1/models/{named}/predict", json=ROW)):
        assert "name@version or name@alias" in is_problem(answer, 404, "not-found")["detail"]
    assert house.http.delete(f"/v1/models/{named}").status_code == 404


def test_the_number_of_a_deleted_version_is_not_given_again(house: House, make: Make) -> None:
    assert [make("counted")["version"] for _ in range(2)] == [1, 2]
    assert house.http.delete("/v1/models/counted@2").status_code == 204
    assert make("counted")["version"] == 3
    for version in (1, 3):
        assert house.http.delete(f"/v1/models/counted@{version}").status_code == 204
    assert make("counted")["version"] == 4


def test_an_alias_moves_only_for_who_knows_where_it_points(house: House, make: Make) -> None:
    for _ in range(3):
        make("moved")
    here = "moved/aliases/production"
    is_problem(point(house, here, 1, If_Match='"anything"'), 412, "precondition-failed")
    is_problem(point(house, here, 1, If_Match="*"), 412, "precondition-failed")
    made = point(house, here, 1, If_None_Match="*")
    assert made.status_code == 200
    assert made.headers["content-location"] == f"/v1/models/{made.json()['id']}"
    found = house.http.get(f"/v1/models/{here}")
    assert found.headers["etag"] == made.headers["etag"]
    assert {**found.json(), "updated_at": None} == {
        "object": "alias",
        "name": "moved",
        "alias": "production",
        "version": 1,
        "model": made.json()["id"],
        "updated_at": None,
    }
    tag = found.headers["etag"]
    assert house.http.get(f"/v1/models/{here}", headers={"If-None-Match": tag}).status_code == 304
    refused = is_problem(point(house, here, 2, If_None_Match="*"), 412, "precondition-failed")
    assert refused["current_etag"] == tag
    moved = point(house, here, 2, If_Match=f'"other", {tag}')
    assert moved.json()["version"] == 2
    assert moved.headers["etag"] != tag
    is_problem(point(house, here, 3, If_Match=tag), 412, "precondition-failed")
    is_problem(point(house, here, 3, If_Match="W/" + moved.headers["etag"]), 412, "precondition-failed")
    is_problem(point(house, here, 9, If_Match=tag), 404, "not-found")
    # There and back again is not the same as never moved.
    back = point(house, here, 1)
    is_problem(point(house, here, 3, If_Match=tag), 412, "precondition-failed")

    is_problem(house.http.delete(f"/v1/models/{here}", headers={"If-Match": tag}), 412, "precondition-failed")
    assert house.http.get(f"/v1/models/{here}").json()["version"] == 1
    gone = house.http.delete(f"/v1/models/{here}", headers={"If-Match": back.headers["etag"]})
    assert gone.status_code == 204
    is_problem(house.http.get(f"/v1/models/{here}"), 404, "not-found")
    is_problem(house.http.delete(f"/v1/models/{here}", headers={"If-Match": "*"}), 404, "not-found")


def test_a_plain_number_is_no_alias_and_the_refusal_says_so(house: House, make: Make) -> None:
    make("numbered")
    for word in ("5", "05", "_5", "a b"):
        problem = is_problem(point(house, f"numbered/aliases/{word}", 1), 422, "invalid-parameter")
        assert problem["errors"][0]["pointer"] == "/path/alias"
        assert "no plain number, which means a version" in problem["errors"][0]["detail"]
    assert point(house, "numbered/aliases/5th", 1).status_code == 200


def test_of_many_who_saw_the_same_alias_one_moves_it(house: House, make: Make) -> None:
    for _ in range(8):
        make("raced")
    here = "raced/aliases/production"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda version: point(house, here, version, If_None_Match="*"), range(1, 9)))
        assert sorted(answer.status_code for answer in made) == [200] + [412] * 7
        tag = house.http.get(f"/v1/models/{here}").headers["etag"]
        moved = list(pool.map(lambda version: point(house, here, version, If_Match=tag), range(1, 9)))
        assert sorted(answer.status_code for answer in moved) == [200] + [412] * 7
    [winner] = [answer for answer in moved if answer.status_code == 200]
    assert house.http.get("/v1/models/raced@production").json() == winner.json()


def test_the_aliases_of_a_name_in_pages(house: House, make: Make) -> None:
    make("listed")
    is_problem(house.http.get("/v1/models/listless/aliases"), 404, "not-found")
    assert house.http.get("/v1/models/listed/aliases").json()["data"] == []
    for alias in ("one", "two", "three"):
        point(house, f"listed/aliases/{alias}", 1)
    point(house, "listed/aliases/one", 1)
    page = house.http.get("/v1/models/listed/aliases?limit=2").json()
    rest = house.http.get(f"/v1/models/listed/aliases?limit=2&cursor={page['next_cursor']}").json()
    assert [alias["alias"] for alias in (*page["data"], *rest["data"])] == ["one", "three", "two"]
    assert not rest["has_more"]
    is_problem(house.http.get("/v1/models/listed/aliases?cursor=nonsense"), 422, "invalid-cursor")


@pytest.mark.parametrize("alias", ["3", "007", ".a", "a@b", "a" * 65])
def test_what_is_no_alias(house: House, make: Make, alias: str) -> None:
    make("strict")
    is_problem(point(house, f"strict/aliases/{alias}", 1), 422, "invalid-parameter")


def test_an_alias_may_begin_with_a_digit(house: House, make: Make) -> None:
    make("numbered")
    assert point(house, "numbered/aliases/2026-11", 1).status_code == 200
    assert house.http.get("/v1/models/numbered@2026-11").json()["version"] == 1


def test_notes_are_what_can_be_changed(house: House, make: Make) -> None:
    made = make("noted")
    here = f"/v1/models/{made['id']}"
    assert made["notes"] == ""
    tag = house.http.get(here).headers["etag"]
    said = "Ünïcode\nand lines ✓"
    changed = house.http.patch(here, json={"notes": said}, headers={"If-Match": tag})
    assert changed.json() == {**made, "notes": said}
    found = house.http.get(here)
    assert (found.json(), found.headers["etag"]) == (changed.json(), changed.headers["etag"])
    refused = house.http.patch(here, json={"notes": "late"}, headers={"If-Match": tag})
    assert is_problem(refused, 412, "precondition-failed")["current_etag"] == changed.headers["etag"]
    is_problem(house.http.delete(here, headers={"If-Match": tag}), 412, "precondition-failed")
    assert house.http.patch("/v1/models/noted@1", json={"notes": "no condition"}).json()["notes"] == "no condition"
    for body in ({}, {"notes": None}, {"notes": "x" * 10_001}, {"notes": "", "name": "other"}):
        is_problem(house.http.patch(here, json=body), 422, "invalid-spec")
    is_problem(house.http.patch(here, json={"notes": "a\0b"}), 422, "refused-value")
    is_problem(house.http.patch("/v1/models/noted@2", json={"notes": ""}), 404, "not-found")
    checkpoint = {"checkpoint": made["checkpoint"], "name": "noted", "notes": "from the start"}
    assert house.http.post("/v1/models", json=checkpoint).json()["notes"] == "from the start"


def test_lineage_outlives_what_it_names(house: House) -> None:
    dataset = house.add_dataset("origin")
    other = house.add_dataset("others")
    digest = house.http.get(f"/v1/datasets/{dataset}").json()["digest"]
    job = house.submit(dataset, name="rooted", epochs=1)
    model = house.train(job)
    before = house.http.get(f"/v1/models/{model}").json()
    checkpoint = house.http.get(f"/v1/jobs/{job}").json()["checkpoint"]
    assert (before["dataset"], before["dataset_digest"]) == (dataset, digest)
    assert (before["job"], before["checkpoint"]) == (job, checkpoint)
    predicted = house.http.post(f"/v1/models/{model}/predict", json=ROW).json()
    for thing in (f"jobs/{job}", f"datasets/{dataset}"):
        assert house.http.delete(f"/v1/{thing}").status_code == 204
    for thing in (f"jobs/{job}", f"datasets/{dataset}", f"checkpoints/{checkpoint}"):
        is_problem(house.http.get(f"/v1/{thing}"), 404, "not-found")
    house.blobs.collect(0)
    assert house.http.get(f"/v1/models/{model}").json() == before
    assert house.http.post(f"/v1/models/{model}/predict", json=ROW).json() == predicted
    assert house.http.get(f"/v1/models/{model}/export").status_code == 200
    assert house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": other}).status_code == 200
    is_problem(house.http.post(f"/v1/models/{model}/evaluate", json={"dataset": dataset}), 404, "not-found")
