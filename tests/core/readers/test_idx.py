import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.readers.reading import arrays_of, idx, load, packed, refusal

TYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
IMAGES, LABELS = idx(np.arange(24, dtype="uint8").reshape(4, 3, 2)), idx(np.array([3, 1, 3, 9], "uint8"))


@given(arrays_of(TYPES), st.booleans())
def test_every_type_comes_back_exactly(images, pack):
    labels = np.linspace(0, 1, len(images), dtype="float32")
    parts = {"images": idx(images), "labels": idx(labels)}
    result = load(**{part: packed(content) if pack else content for part, content in parts.items()})
    assert np.array_equal(result.x.astype(images.dtype), images)
    assert np.array_equal(result.y, labels)
    assert result.schema.input_dtype == {"uint8": "uint8", "int32": "float64", "float64": "float64"}.get(
        images.dtype.name, "float32"
    )


def test_images_and_labels_keep_their_shape_and_classes():
    result = load(images=IMAGES, labels=LABELS, format="idx")
    assert result.x.tolist() == np.arange(24).reshape(4, 3, 2).tolist()
    assert result.schema.target.classes == (1, 3, 9)
    assert result.labels == [3, 1, 3, 9]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("images", "labels", "word"),
    [
        (LABELS, IMAGES, "swapped"),
        (LABELS, LABELS, "images holds one number per row"),
        (IMAGES, IMAGES, "labels holds images"),
        (IMAGES, idx(np.zeros(3, "uint8")), "images has 4 rows, but labels has 3"),
        (IMAGES[:-1], LABELS, "promises 24 bytes (shape [4, 3, 2])"),
        (IMAGES + b"garbage", LABELS, "promises 24 bytes"),
        (IMAGES, LABELS + b"\0", "promises 4 bytes"),
        (IMAGES[:7], LABELS, "ends within its header"),
        (b"\x08\x03" + IMAGES, LABELS, "is not IDX"),
        (b"\0\0\x07\x03" + IMAGES[4:], LABELS, "is not IDX"),
        (b"a,b\n1,2\n", LABELS, "is not IDX"),
        (b"\0\0\x08\x03" + b"\xff" * 12, LABELS, ""),
        (idx(np.zeros((0, 3, 2), "uint8")), LABELS, "no rows"),
        (idx(np.zeros((4, 0, 2), "uint8")), LABELS, "no features"),
        (IMAGES, idx(np.array([1, 1, 1, 1], "uint8")), "nothing to tell apart"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_told(images, labels, word, pack):
    from core.readers import TooLarge

    if word == "":
        with pytest.raises(TooLarge):
            load(images=images, labels=labels)
        return
    if pack:
        images, labels = packed(images), packed(labels)
    assert word in str(refusal(load, images=images, labels=labels))


def test_damaged_gzip_is_told():
    whole = packed(IMAGES)
    for cut in range(3, len(whole)):
        assert "damaged or cut off" in str(refusal(load, images=whole[:cut], labels=LABELS))
    assert "damaged" in str(refusal(load, images=whole + b"garbage", labels=LABELS))


def test_one_file_is_not_enough():
    assert 'the images as "images"' in str(refusal(load, file=packed(IMAGES)))
