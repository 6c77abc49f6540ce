"""Weights from elsewhere: which files are read, what is refused and how it is said, and that a run begins with them."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from core.network import Network
from core.readers import TooLarge
from core.spec import SpecError
from core.training import fit
from core.weight_files import MAX_TENSORS, read_weights
from core.weights import Weights

LAYERS = [
    {"type": "flatten"},
    {"type": "dense", "units": 6},
    {"type": "batch_norm"},
    {"type": "dense", "units": 3},
]
LIMIT = 10**6


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def header(descr, shape):
    """An NPY file without its numbers."""
    text = str({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def told(dtype, shape, offsets, size=0):
    """A safetensors file of one tensor, whatever is said of it."""
    text = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


@pytest.fixture
def read(tmp_path):
    """Read the bytes of a file; gives what was said of it, and the file that was written."""

    def read(content, limit=LIMIT):
        path, into = tmp_path / "sent", tmp_path / "kept.safetensors"
        path.write_bytes(content)
        return read_weights(path, into, limit), into

    return read


def refusal(act):
    with pytest.raises(SpecError) as refused:
        act()
    return refused.value.errors


@pytest.mark.parametrize("form", ["safetensors", "npz"])
def test_a_run_begins_with_what_another_exported(classes, make_spec, read, form):
    data = classes(rows=50)
    (*_, last) = fit(make_spec(layers=LAYERS, optimizer={"type": "adam"}, preprocessing={"scale": "standard"}), data)
    checkpoint = last.checkpoint()
    content = checkpoint.to_bytes() if form == "safetensors" else npz(**checkpoint.tensors)
    tensors, file = read(content)
    assert {tensor.name for tensor in tensors} == set(checkpoint.tensors) - {
        *(name for name in checkpoint.tensors if name.startswith(("optimizer.", "preprocessing."))),
        "sums",
    }
    begun = make_spec(layers=LAYERS, epochs=1, from_weights="wts_1")
    (*_, ours) = fit(begun, data, start=Weights.open(file))
    (*_, theirs) = fit(make_spec(layers=LAYERS, epochs=1, from_checkpoint="ckpt_1"), data, start=checkpoint)
    assert ours.checkpoint().digest == theirs.checkpoint().digest
    (*_, drawn) = fit(make_spec(layers=LAYERS, epochs=1), data)
    assert ours.checkpoint().digest != drawn.checkpoint().digest
    assert begun.identity() == make_spec(layers=LAYERS, epochs=1).identity()


def test_both_formats_come_to_the_same_bytes_in_any_layout(read):
    arrays = {"b": np.arange(6.0).reshape(2, 3), "a": np.float32([1.5]), "half": np.float16([0.5, 2])}
    _, file = read(save(arrays))
    kept = file.read_bytes()
    found = load_file(file)
    assert all((found[name] == arrays[name]).all() for name in arrays)
    assert found["half"].dtype == np.float16
    strange = {"a": arrays["a"].astype(">f4"), "half": arrays["half"], "b": np.asfortranarray(arrays["b"])}
    tensors, file = read(npz(**strange))
    assert file.read_bytes() == kept
    assert [(t.name, t.dtype, t.shape) for t in tensors] == [
        ("a", "float32", (1,)),
        ("b", "float64", (2, 3)),
        ("half", "float16", (2,)),
    ]


HUGE = 2**40
HOSTILE = {
    "a pickle": (pickle.dumps({"a": [1.0]}), "never opened"),
    "an archive of torch": (zipped(**{"archive/data.pkl": b"\x80\x02."}), "never opened"),
    "an array of objects": (npz(a=np.array([{}], dtype=object)), "pickles are never opened"),
    "text": (b"hello", "neither safetensors nor NPZ"),
    "nothing": (b"", "neither safetensors nor NPZ"),
    "no tensors": (save({}), "holds no weights"),
    "no weights": (save({"optimizer.m": np.zeros(2)}), "holds no weights"),
    "an archive of other things": (zipped(readme=b"hello"), "no NPZ"),
    "whole numbers": (npz(a=np.arange(3)), "int64: save weights as float32"),
    "half-precision that NumPy has not": (told("BF16", [1], [0, 2], 2), "BF16"),
    "NaN": (save({"a": np.array([1, np.nan])}), "not finite"),
    "infinity": (npz(a=np.float32([np.inf])), "not finite"),
    "more than it has": (zipped(**{"a.npy": header("<f8", (HUGE,)) + bytes(80)}), "shorter or longer"),
    "less than it has": (zipped(**{"a.npy": header("<f8", (1,)) + bytes(80)}), "shorter or longer"),
    "a shape that is none": (zipped(**{"a.npy": header("<f8", (-1,)) + bytes(8)}), "damaged"),
    "offsets beyond the end": (told("F32", [HUGE], [0, 4 * HUGE], 8), "damaged"),
    "a shape unlike its bytes": (told("F32", [3], [0, 8], 8), "damaged"),
    "a length beyond the end": (b"\xff" * 7 + b"\x00{", "damaged"),
    "a name too long": (save({"a" * 300: np.zeros(2)}), "too long a name"),
    "odd signs in a name": (save({"a\x1b[2J": np.zeros(2)}), "odd signs"),
    "half an archive": (npz(a=np.zeros(50))[:-30], "damaged"),
    "an archive with a wrong checksum": (npz(a=np.ones(9)).replace(b"\xf0\x3f", b"\xf1\x3f", 1), "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_refused(read, name):
    content, word = HOSTILE[name]
    [finding] = refusal(lambda: read(content))
    assert finding.pointer == "/file"
    assert word in finding.detail


def test_every_cut_of_a_file_is_refused(read):
    for content in (save({"a": np.ones(4), "b": np.ones(2)}), npz(a=np.ones(4), b=np.ones(2))):
        for size in range(0, len(content), 7):
            assert refusal(lambda size=size, content=content: read(content[:size]))


def test_what_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked(read):
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(LIMIT))
    assert len(file.getvalue()) < LIMIT / 100
    with pytest.raises(TooLarge):
        read(file.getvalue())


def test_too_many_tensors_are_refused(read):
    [finding] = refusal(lambda: read(save({str(i): np.zeros(1, np.float32) for i in range(MAX_TENSORS + 1)})))
    assert "at most 10,000" in finding.detail


def check(tensors, dtype="float32"):
    from pydantic import TypeAdapter

    from core.layers import AnyLayer

    layers = TypeAdapter(list[AnyLayer]).validate_python(LAYERS[1:3])
    Weights(tensors).check_weights(Network.trace(layers, (4,)), dtype)


RIGHT = {
    "layers.0.weights": np.zeros((4, 6)),
    "layers.0.biases": np.zeros(6),
    "layers.1.scale": np.zeros(6),
    "layers.1.shift": np.zeros(6),
    "state.layers.1.mean": np.zeros(6),
    "state.layers.1.variance": np.zeros(6),
}


def test_names_of_another_program_are_told_beside_those_that_are_expected():
    check(RIGHT)
    [finding] = refusal(lambda: check({"fc1.weight": np.zeros((6, 4)), "fc1.bias": np.zeros(6)}))
    assert finding.pointer == "/from_weights"
    for part in (
        "layers.0.weights (4 x 6)",
        "state.layers.1.variance (6)",
        "the file has fc1.weight (6 x 4), fc1.bias",
    ):
        assert part in finding.detail
    for tensors in (RIGHT | {"more": np.zeros(1)}, {k: v for k, v in RIGHT.items() if "state" not in k}):
        assert "It expects" in refusal(lambda tensors=tensors: check(tensors))[0].detail


def test_shapes_that_do_not_fit_are_told_each():
    findings = refusal(
        lambda: check(RIGHT | {"layers.0.weights": np.zeros((6, 4)), "layers.0.biases": np.zeros((6, 1))})
    )
    assert [finding.detail for finding in findings] == [
        "layers.0.weights is 6 x 4 in the file, but 4 x 6 is expected: transpose it.",
        "layers.0.biases is 6 x 1 in the file, but 6 is expected.",
    ]


def test_numbers_beyond_the_type_of_the_network_are_refused():
    large = RIGHT | {"layers.0.biases": np.full(6, -1e300)}
    check(large, "float64")
    assert "beyond float32" in refusal(lambda: check(large))[0].detail
