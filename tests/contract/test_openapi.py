"""The committed documents equal the application, and say all that a client needs."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from service import openapi
from service.app import create_app
from service.problems import PROBLEMS, documented
from service.settings import ServiceSettings
from store.settings import StoreSettings

ROOT = Path(__file__).parents[2]
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module", params=["openapi.json", "openapi-v2.json"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    app = create_app(ServiceSettings(), StoreSettings())
    return openapi.document_v2(app) if request.param == "openapi-v2.json" else app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_files_equal_the_application() -> None:
    export = importlib.util.spec_from_file_location("export", ROOT / "openapi" / "export.py")
    assert export is not None
    assert export.loader is not None
    module = importlib.util.module_from_spec(export)
    export.loader.exec_module(module)
    assert set(module.FILES) == {path.name for path in module.HERE.glob("*.json")}
    for name in module.FILES:
        assert (module.HERE / name).read_text() == module.text(name), "run `make openapi`"


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_operation_tells_what_it_does_and_how_it_fails(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        failures = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert failures, name
        for status, answer in failures.items():
            assert answer["description"], (name, status)
            [(kind, content)] = answer["content"].items()
            if "/v2" in name:
                assert (kind, set(content["example"])) == ("application/json", {"error"}), (name, status)
            else:
                assert (kind, content["example"]["status"]) == ("application/problem+json", int(status))
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            assert "schema" in content, name
            assert kind.startswith("multipart/") or content["examples"], name


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = document["components"]["schemas"]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert value["$ref"].removeprefix("#/components/schemas/") in known, value["$ref"]
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)


def test_each_operation_stands_in_one_document() -> None:
    app = create_app(ServiceSettings(), StoreSettings())
    paths = {name: set(told["paths"]) for name, told in (("v1", app.openapi()), ("v2", openapi.document_v2(app)))}
    assert {path.split("/")[1] for path in paths["v2"]} == {"v2"}
    assert not any(path.startswith("/v2") for path in paths["v1"])
    assert len(paths["v2"]) == 9


def test_the_spec_of_a_job_is_described_whole() -> None:
    document = create_app(ServiceSettings(), StoreSettings()).openapi()
    layers = document["components"]["schemas"]["NetworkSpec"]["properties"]["layers"]["items"]
    named = {ref["$ref"].rsplit("/", 1)[1] for ref in layers["oneOf"]}
    assert {"Dense", "Flatten", "Sigmoid", "ReLU", "Tanh", "Dropout"} <= named


def test_every_problem_is_documented_once() -> None:
    by_slug: dict[str, set[tuple[int, str]]] = {}
    for problem in PROBLEMS.values():
        by_slug.setdefault(problem.slug, set()).add((problem.status, problem.title))
        assert problem.meaning.endswith(".")
        assert 400 <= problem.status < 600
    assert all(len(said) == 1 for said in by_slug.values()), by_slug
    assert set(by_slug) <= set(documented())
