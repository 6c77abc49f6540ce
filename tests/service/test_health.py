from tests.infrastructure.processes import eventually
from tests.service.house import House, is_problem


def test_health(house: House) -> None:
    assert house.http.get("/livez").json() == {"status": "ok"}
    assert house.http.get("/readyz").json() == {"status": "ok"}


def test_measurements_name_routes_not_paths(house: House, dataset: str) -> None:
    house.http.get(f"/v1/datasets/{dataset}")
    house.http.get("/v1/nothing/at/all")
    text = house.http.get("/metrics").text
    assert 'nudge_http_requests_total{method="GET",route="/v1/datasets/{dataset_id}",status="200"}' in text
    assert 'route="none",status="404"' in text
    assert dataset not in text
    eventually(lambda: house.followed(0), 30, "streams that ended are not counted any more")


def test_every_problem_type_explains_itself(house: House) -> None:
    listed = house.http.get("/problems").json()["data"]
    assert len(listed) > 20
    for problem in listed:
        assert house.http.get(problem["type"]).json() == problem
    is_problem(house.http.get("/problems/nothing"), 404, "not-found")


def test_the_document_is_served(house: House) -> None:
    assert house.http.get("/openapi.json").json()["info"]["title"] == "Nudge"
    assert house.http.get("/docs").status_code == 200
