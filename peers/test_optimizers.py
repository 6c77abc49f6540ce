"""Each optimizer on a small network, as it comes and with every option moved; schedules, penalties and clipping."""

from typing import Any

import pytest

from peers.comparison import compare, dataset, training
from peers.conftest import Hold

LAYERS = [{"type": "dense", "units": 7}, {"type": "tanh"}, {"type": "dense", "units": 3}]
CASES: list[dict[str, Any]] = [
    {"type": "sgd"},
    {"type": "sgd", "momentum": 0.8},
    {"type": "momentum"},
    {"type": "momentum", "learning_rate": 0.05, "momentum": 0.5},
    {"type": "nesterov"},
    {"type": "nesterov", "learning_rate": 0.05, "momentum": 0.7},
    {"type": "rmsprop"},
    {"type": "rmsprop", "learning_rate": 0.003, "alpha": 0.9, "epsilon": 1e-4},
    {"type": "adagrad"},
    {"type": "adagrad", "learning_rate": 0.1, "epsilon": 1e-3},
    {"type": "adadelta"},
    {"type": "adadelta", "learning_rate": 0.5, "rho": 0.95, "epsilon": 1e-4},
    {"type": "adam"},
    {"type": "adam", "learning_rate": 0.01, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4},
    {"type": "adamw"},
    {"type": "adamw", "learning_rate": 0.01, "weight_decay": 0.5},
    {"type": "nadam"},
    {"type": "nadam", "learning_rate": 0.01, "beta1": 0.8, "beta2": 0.95, "momentum_decay": 0.5},
]
SCHEDULED = {"type": "exponential", "learning_rate": 0.05, "factor": 0.5}
RESTRAINTS: list[dict[str, Any]] = [
    {"regularization": {"l1": 0.01}},
    {"regularization": {"l2": 0.1}},
    {"regularization": {"nielsen_lambda": 5.0}},
    {"regularization": {"weight_decay": 0.2}},
    {"regularization": {"max_norm": 0.9}},
    {"gradient_clipping": {"value": 0.02}},
    {"gradient_clipping": {"norm": 0.1}},
    {
        "regularization": {"l1": 0.01, "l2": 0.1, "weight_decay": 0.1, "max_norm": 1.0},
        "gradient_clipping": {"value": 0.1},
    },
]


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", CASES, ids=[f"{case['type']}-{i}" for i, case in enumerate(CASES)])
def test_optimizer(optimizer: dict[str, Any], dtype: str, compiled: bool, hold: Hold) -> None:
    distance = compare(training(LAYERS, optimizer=optimizer), dataset((5,)), dtype, compiled=compiled)
    hold("optimizer", optimizer["type"], dtype, distance)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("restraint", RESTRAINTS, ids=range(len(RESTRAINTS)))
def test_regularisation(restraint: dict[str, Any], dtype: str, compiled: bool, hold: Hold) -> None:
    for optimizer in {"type": "sgd"}, {"type": "adamw", "learning_rate": SCHEDULED}:
        spec = training(LAYERS, optimizer=optimizer, **restraint)
        distance = compare(spec, dataset((5,)), dtype, compiled=compiled)
        hold("regularisation", ", ".join(name for told in restraint.values() for name in told), dtype, distance)
