"""Schemathesis against a real server: whatever the document allows and forbids, no answer is a surprise."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from service import openapi
from service.app import create_app
from service.settings import ServiceSettings
from store.settings import StoreSettings
from tests.service.house import House, running

# Unions that many kinds hold are fuzzed in one of them: in each they would be thousands of requests more.
HELD_BY = {"weights": "Dense", "biases": "Dense", "recurrent_weights": "LSTM", "learning_rate": "SGD"}


def document() -> dict[str, Any]:
    """What the service says of itself, but with one kind of layer in a block (blocks in blocks have no end), and
    elsewhere than in `HELD_BY` only the default kind of a union that is named there."""
    told: dict[str, Any] = create_app(ServiceSettings(), StoreSettings()).openapi()
    kinds = told["components"]["schemas"]
    kinds["Residual"]["properties"]["layers"]["items"] = {"$ref": "#/components/schemas/Dense"}
    for field, holder in HELD_BY.items():
        assert "oneOf" in kinds[holder]["properties"][field]
        for name, kind in kinds.items():
            held = kind.get("properties", {}).get(field, {})
            if name != holder and "oneOf" in held:
                number, *_ = held["oneOf"]
                mapping = held.get("discriminator", {}).get("mapping")
                kind["properties"][field] = {"$ref": mapping[held["default"]["type"]]} if mapping else number
    return told


schema = schemathesis.openapi.from_dict(document())
protocol = schemathesis.openapi.from_dict(openapi.document_v2(create_app(ServiceSettings(), StoreSettings())))
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
FUZZED = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("fuzzed"), NUDGE_BODY_TIMEOUT_S="2") as house:
        yield house


@pytest.fixture(scope="module")
def iris(house: House) -> str:
    """The name of a model that takes what the document's examples send."""
    rows = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]] * 4
    answer = house.http.post("/v1/datasets", json={"name": "iris", "x": rows, "y": ["a", "b", "c"] * 4})
    layers = {"layers": [{"type": "dense", "units": 3}]}
    house.train(house.submit(answer.json()["id"], name="iris", network=layers, epochs=1))
    return "iris"


@pytest.mark.timeout(900)  # making examples of a deep schema takes a busy machine minutes
@schema.exclude(path_regex="/events$").parametrize()
@FUZZED
def test_no_answer_is_a_surprise(case: schemathesis.Case[Any], house: House) -> None:
    case.query.pop("wait", None)
    answer = case.call(base_url=house.url, timeout=60)
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]


@protocol.parametrize()
@FUZZED
def test_no_answer_of_the_inference_protocol_is_a_surprise(
    case: schemathesis.Case[Any], house: House, iris: str
) -> None:
    named = case.path_parameters
    if case.method == "POST" and "model_version" in named:
        named["model_version"] = "1"
    if "model_name" in named and named.get("model_version", "1") == "1":
        named["model_name"] = iris  # what bodies do is seen where there is a model
    answer = case.call(base_url=house.url, timeout=60)
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error"}
