"""The main job over HTTP, from a dataset to a prediction, as any client would do it."""

from typing import Any

import httpx

# Two classes that a line separates: the sign of the first value.
X = [[(1 if row % 2 else -1) * (0.5 + row % 7 / 10), (row % 5 - 2) / 2] for row in range(80)]
Y = ["right" if row % 2 else "left" for row in range(80)]


def connect(url: str) -> httpx.Client:
    """A client that gives up rather than hang, and never goes through a proxy."""
    return httpx.Client(base_url=url, timeout=60.0, trust_env=False)


def upload(client: httpx.Client, name: str = "sides") -> str:
    """The id of a small dataset."""
    answer = client.post("/v1/datasets", json={"name": name, "x": X, "y": Y})
    assert answer.status_code == 201, answer.text
    dataset: dict[str, Any] = answer.json()
    assert dataset["rows"] == len(X)
    return str(dataset["id"])


def submit(client: httpx.Client, dataset: str, epochs: int = 30) -> str:
    """The id of a job that trains a small network on it."""
    spec = {
        "dataset": dataset,
        "network": {"layers": [{"type": "dense", "units": 4}, {"type": "tanh"}, {"type": "dense", "units": 2}]},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "batch_size": 20,
        "epochs": epochs,
        "seed": 1,
    }
    answer = client.post("/v1/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def wait(client: httpx.Client, job: str, *statuses: str, within_polls: int = 20) -> dict[str, Any]:
    """The job once it has one of the statuses; long polls of five seconds."""
    found: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
    headers: dict[str, str] = {}
    for _ in range(within_polls * 100):  # every change of the job answers a poll
        answer = client.get(f"/v1/jobs/{job}", params={"wait": 5}, headers=headers)
        assert answer.status_code in (200, 304), answer.text
        if answer.status_code == 304:
            within_polls -= 1
        else:
            found = answer.json()
            headers = {"If-None-Match": answer.headers["ETag"]}
        if found["status"] in statuses or not within_polls:
            break
    assert found["status"] in statuses, found
    return found


def predict(client: httpx.Client, model: str) -> None:
    """The model tells the sides apart."""
    answer = client.post(f"/v1/models/{model}/predict", json={"inputs": [[-0.9, 0.1], [0.9, 0.1]]})
    assert answer.status_code == 200, answer.text
    assert [prediction["class"] for prediction in answer.json()["predictions"]] == ["left", "right"]


def journey(client: httpx.Client) -> dict[str, Any]:
    """Upload, train, predict; answers the finished job."""
    job = wait(client, submit(client, upload(client)), "succeeded", "failed", "cancelled")
    assert job["status"] == "succeeded", job
    predict(client, job["model"])
    return job
