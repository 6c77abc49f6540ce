import json
from pathlib import Path

import numpy as np

from tests.service.house import TENANT, House, is_problem

SAMPLES = Path(__file__).parents[2] / "samples"


def upload_digits(house: House, name: str = "digits") -> dict[str, object]:
    parts = {
        part: (SAMPLES / f"digits-{part}.idx{3 if part == 'images' else 1}-ubyte.gz") for part in ("images", "labels")
    }
    files = {part: (path.name, path.read_bytes()) for part, path in parts.items()}
    answer = house.http.post("/v1/datasets", data={"name": name}, files=files)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/datasets/{answer.json()['id']}"
    view: dict[str, object] = answer.json()
    return view


def test_idx_files_as_they_are(house: House) -> None:
    view = upload_digits(house)
    assert (view["object"], view["rows"], view["input_shape"]) == ("dataset", 1797, [8, 8])
    assert view["input_dtype"] == "uint8"
    assert view["target"] == {"kind": "class", "classes": list(range(10))}
    stored = house.datasets.open(house.datasets.get(TENANT, str(view["id"])))
    rows = house.http.get(f"/v1/datasets/{view['id']}/rows?offset=1790&limit=5").json()
    assert [row["row"] for row in rows["data"]] == [1790, 1791, 1792, 1793, 1794]
    assert rows["has_more"]
    assert (np.array(rows["data"][0]["x"]) == stored.x[1790]).all()
    assert rows["data"][0]["y"] == int(stored.y[1790])


def test_the_same_bytes_have_one_digest_and_versions_of_one_name(house: House) -> None:
    first, second = upload_digits(house, "twice"), upload_digits(house, "twice")
    assert first["digest"] == second["digest"]
    assert (first["version"], second["version"]) == (1, 2)
    assert first["id"] != second["id"]


def test_csv_with_options(house: House) -> None:
    text = b"size;kind;price\n1;a;2.5\n2;b;3.5\n3;a;4.5\n"
    options = json.dumps({"delimiter": ";", "target": {"column": "price"}, "columns": {"kind": "ignore"}})
    form = {"name": "houses", "format": "csv", "options": options}
    answer = house.http.post("/v1/datasets", data=form, files={"file": ("houses.csv", text)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["target"] == {"kind": "real", "shape": []}
    rows = house.http.get(f"/v1/datasets/{answer.json()['id']}/rows").json()["data"]
    assert rows[1] == {"row": 1, "x": [2.0], "y": 3.5}


def test_class_labels_stay_the_json_scalars_that_they_were(house: House) -> None:
    body = {"name": "mixed", "x": [[1], [2], [3], [4]], "y": [True, "1", 1, False]}
    answer = house.http.post("/v1/datasets", json=body)
    assert answer.json()["target"]["classes"] == [False, True, 1, "1"]
    rows = house.http.get(f"/v1/datasets/{answer.json()['id']}/rows").json()["data"]
    assert [row["y"] for row in rows] == [True, "1", 1, False]


def test_inline_options_make_integers_real(house: House) -> None:
    body = {"name": "line", "x": [[1], [2]], "y": [1, 2], "options": {"target": {"kind": "real"}}}
    assert house.http.post("/v1/datasets", json=body).json()["target"]["kind"] == "real"


def test_lists_page_and_filter(house: House) -> None:
    ids = [house.add_dataset("paged") for _ in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = house.http.get(f"/v1/datasets?name=paged&limit=2{cursor}").json()
        seen += [item["id"] for item in page["data"]]
        assert page["object"] == "list"
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ids[::-1]


def test_reads_have_etags(house: House, dataset: str) -> None:
    first = house.http.get(f"/v1/datasets/{dataset}")
    again = house.http.get(f"/v1/datasets/{dataset}", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert again.status_code == 304
    assert again.content == b""
    assert house.http.get(f"/v1/datasets/{dataset}", headers={"If-None-Match": '"other"'}).status_code == 200


def test_rows_beyond_the_end_are_none(house: House, dataset: str) -> None:
    page = house.http.get(f"/v1/datasets/{dataset}/rows?offset=9000000000000000000").json()
    assert page == {"object": "list", "data": [], "has_more": False, "next_cursor": None}


def test_rows_go_on_where_the_page_before_ended(house: House, dataset: str) -> None:
    address = f"/v1/datasets/{dataset}/rows"
    pages = [house.http.get(address, params={"offset": 1, "limit": 5}).json()]
    while pages[-1]["has_more"]:
        pages.append(house.http.get(address, params={"limit": 5, "cursor": pages[-1]["next_cursor"]}).json())
    assert [[row["row"] for row in page["data"]] for page in pages] == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11]]
    assert pages[-1]["next_cursor"] is None
    for cursor in ("x", "-1", "1.5", "٣", "9" * 19):
        is_problem(house.http.get(address, params={"cursor": cursor}), 422, "invalid-cursor")


def test_delete_unless_a_job_needs_it(house: House) -> None:
    free, used = house.add_dataset("free"), house.add_dataset("used")
    house.submit(used)
    assert house.http.delete(f"/v1/datasets/{free}").status_code == 204
    is_problem(house.http.get(f"/v1/datasets/{free}"), 404, "not-found")
    is_problem(house.http.post("/v1/jobs", json=house.spec(free)), 404, "not-found")
    is_problem(house.http.delete(f"/v1/datasets/{used}"), 409, "in-use")
