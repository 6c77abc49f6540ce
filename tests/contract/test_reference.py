"""docs/layers.md and docs/training.md name all that a spec may say, with its defaults, and what they show is valid."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import pytest
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from core.augmentation import AnyAugmentation
from core.compiled.library import CODES
from core.initializers import AnyInitializer
from core.layers import AnyLayer
from core.losses import AnyLoss
from core.metrics import AnyMetric
from core.network import Network, NetworkSpec
from core.optimizers import AnyOptimizer
from core.preprocessing import PreprocessingSpec
from core.regularization import GradientClipping, Regularization
from core.schedules import AnySchedule
from core.spec import Spec
from core.training_spec import Checkpoints, EarlyStopping, Limits, Trace, TrainingSpec

DOCS = Path(__file__).parents[2] / "docs"
TRAINED = ["descent", "doctor", "explanation", "gradient_check", "teaching", "what_if"]
UNIONS = {
    "layers.md": {"": AnyLayer, "Initializers": AnyInitializer},
    "training.md": {
        "Losses": AnyLoss,
        "Optimizers": AnyOptimizer,
        "Schedules": AnySchedule,
        "Metrics": AnyMetric,
        "Augmentation": AnyAugmentation,
    },
}
PARTS = [
    ("", TrainingSpec),
    ("Regularization", Regularization),
    ("Gradient clipping", GradientClipping),
    ("Preprocessing", PreprocessingSpec),
    ("Early stopping", EarlyStopping),
    ("`checkpoints`:", Checkpoints),
    ("`limits`:", Limits),
    ("Trace", Trace),
]
LEAST: dict[str, Any] = {"dataset": "ds", "network": {"layers": [{"type": "flatten"}]}, "loss": {"type": "quadratic"}}


class Part(NamedTuple):
    """What stands under one heading: of which page, under which headings of levels 2 and 3."""

    page: str
    chapter: str
    section: str
    text: str

    @property
    def union(self) -> Any:
        """What a JSON object with a type means here."""
        known = UNIONS[self.page]
        return known.get(self.chapter, known.get(""))


def parts() -> Iterator[Part]:
    for page in UNIONS:
        for chapter in re.split(r"^## ", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE):
            first, *sections = re.split(r"^### ", chapter, flags=re.MULTILINE)
            title = "" if first.startswith("# ") else first.split("\n", 1)[0]
            yield Part(page, title, "", first)
            for section in sections:
                yield Part(page, title, section.split("\n", 1)[0], section)


def examples(text: str) -> list[dict[str, Any]]:
    """Every JSON object of the text, in blocks and within lines."""
    blocks = re.findall(r"^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [json.loads(found) for found in [*blocks, *re.findall(r'`(\{"[^`]*)`', prose)]]


def rows(text: str) -> list[dict[str, str]]:
    """The tables of a text, row by row, as what stands under each head."""
    found: list[dict[str, str]] = []
    heads: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if not cells:
            heads = []
        elif not heads:
            heads = cells
        elif not set("".join(cells)) <= {"-", " "}:
            found.append(dict(zip(heads, cells, strict=True)))
    return found


def fields(cls: type[Spec]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in cls.model_fields.items() if name != "type"}


def check_fields(cls: type[Spec], table: list[dict[str, str]], example: dict[str, Any]) -> None:
    """The table names the fields of a class, which ones are required, and the defaults of the others."""
    told = {row["field"].strip("`"): row["default"] for row in table}
    known = fields(cls)
    assert set(told) == set(known), cls.__name__
    for name, default in told.items():
        if known[name].is_required():
            assert default == "required", (cls.__name__, name)
            continue
        value = json.loads(default.strip("`"))
        real = known[name].get_default(call_default_factory=True)
        if value != to_jsonable_python(real):  # then it is told in short
            given = cls.model_validate(example | {name: value})
            assert getattr(given, next(n for n, f in cls.model_fields.items() if name in (n, f.alias))) == real, name


MEMBERS = [
    pytest.param(page, chapter, member, id=f"{chapter or 'Layers'}-{member.model_fields['type'].default}")
    for page, chapters in UNIONS.items()
    for chapter, union in chapters.items()
    for member in get_args(get_args(union)[0])
]


@pytest.mark.parametrize(("page", "chapter", "member"), MEMBERS)
def test_every_member_of_every_union_is_there_with_its_fields(page: str, chapter: str, member: type[Spec]) -> None:
    name = member.model_fields["type"].default
    mine = [part for part in parts() if part.page == page and part.union is not None]
    if chapter:
        mine = [part for part in mine if part.chapter == chapter]
    for part in mine:
        if name in part.section.split(", "):
            example = next(found for found in examples(part.text) if found.get("type") == name)
            check_fields(member, [row for row in rows(part.text) if "field" in row], example)
            return
    # Small ones are a row of a table: the example has all fields, and those that are not required have their defaults.
    table = [row for part in mine for row in rows(part.text) if f'"type": "{name}"' in next(iter(row.values()))]
    assert len(table) == 1, f"{name} is not on {page}"
    [example] = examples(next(iter(table[0].values())))
    assert set(example) - {"type"} == set(fields(member))
    required = {field for field, known in fields(member).items() if known.is_required()}
    assert set(re.findall(r"`(\w+)`", table[0].get("required", ""))) == required
    bare = {key: value for key, value in example.items() if key == "type" or key in required}
    assert member.model_validate(example) == member.model_validate(bare)


@pytest.mark.parametrize(("title", "cls"), PARTS, ids=[cls.__name__ for _, cls in PARTS])
def test_every_field_of_a_training_spec_is_there(title: str, cls: type[Spec]) -> None:
    found = [part.text for part in parts() if part.page == "training.md" and part.chapter == title and not part.section]
    if not found:
        [text] = (part.text for part in parts() if title in part.text)
        found = [text.split(title, 1)[1].lstrip("\n").split("\n\n", 1)[0]]
    example = LEAST if cls is TrainingSpec else {"patience": 1} if cls is EarlyStopping else {}
    check_fields(cls, [row for row in rows(found[0]) if "field" in row], example)


def test_every_example_is_valid() -> None:
    count = 0
    for part in parts():
        for example in examples(part.text):
            count += 1
            if "type" in example:
                # A default or an optimizer may stand where another union is told.
                homes = [part.union, AnyInitializer, AnyOptimizer]
                assert any(_takes(union, example) for union in homes if union is not None), (part.section, example)
            elif "layers" in example:
                NetworkSpec.model_validate(example)
            elif set(example) <= set(TrainingSpec.model_fields):
                TrainingSpec.model_validate(LEAST | example)
            else:
                assert any(
                    _takes(TrainingSpec.model_fields[name].annotation, example) for name in TrainingSpec.model_fields
                )
    assert count > 90


def _takes(kind: Any, example: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(example)
    except ValueError:
        return False
    return True


def test_shapes_and_numbers_of_parameters_are_as_told() -> None:
    told = 0
    pattern = r"```json\n((?:(?!```).)*?)\n```|Shapes:\s+([\d ×]+) → ([\d ×]+?)(?:, ([\d,]+) parameters?)?[:.;\n]"
    for part in parts():
        layers: list[str] = []
        fresh = False
        for match in re.finditer(pattern, part.text, re.DOTALL):
            if match[1]:
                layers = [*layers, match[1]] if fresh else [match[1]]
                fresh = True
                continue
            fresh = False
            given, made = (tuple(int(n) for n in match[i].split(" × ")) for i in (2, 3))
            for layer in layers:
                network = Network.trace(NetworkSpec.model_validate({"layers": [json.loads(layer)]}).layers, given)
                assert network.output_shape == made, (part.section, layer)
                if match[4]:
                    assert network.size == int(match[4].replace(",", "")), (part.section, layer)
            told += len(layers)
    assert told >= 18


def _drawing(name: str = "draw") -> ModuleType:
    found = importlib.util.spec_from_file_location(name, DOCS / "images" / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_pictures_are_what_the_code_draws() -> None:
    pictures = _drawing().PICTURES
    for name, draw in pictures.items():
        assert (DOCS / "images" / name).read_text("utf-8") == draw(), f"run docs/images/draw.py for {name}"
    shown = {
        name for page in DOCS.glob("*.md") for name in re.findall(r"\(images/(\w+\.svg)\)", page.read_text("utf-8"))
    }
    assert shown - {"soak.svg"} == set(pictures) | {f"{name}.svg" for name in TRAINED}


@pytest.mark.parametrize("name", TRAINED)
def test_what_was_trained_is_drawn_of_what_it_says(name: str) -> None:
    """Its numbers, which stand in words; the strokes between them may differ by a rounding elsewhere."""
    drawn, kept = (
        re.findall("<text.*?</text>", text)
        for text in (_drawing(name).drawing(), (DOCS / "images" / f"{name}.svg").read_text("utf-8"))
    )
    assert drawn == kept, f"run docs/images/{name}.py"


def test_links_lead_somewhere() -> None:
    for page in ("architecture.md", "descent.md", "explanations.md", *UNIONS):
        for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", (DOCS / page).read_text("utf-8")):
            target = DOCS / path if path else DOCS / page
            assert target.exists(), f"{page}: {path}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}, anchor


def test_the_table_of_a_step_is_made_of_operations_that_exist() -> None:
    page = (DOCS / "architecture.md").read_text("utf-8")
    table = [row["operations"] for row in rows(page) if "operations" in row]
    named = set(re.findall(r"`(\w+)`", " ".join(table)))
    assert len(table) == 6
    assert named <= set(CODES)


def bounds(schema: Any) -> Iterator[float]:
    """Every upper bound in a JSON schema."""
    if isinstance(schema, dict):
        yield from (
            schema[word] for word in ("maximum", "exclusiveMaximum") if isinstance(schema.get(word), int | float)
        )
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from bounds(value)


def test_every_bound_is_told() -> None:
    told = "".join((DOCS / page).read_text("utf-8") for page in UNIONS).replace("1e30", f"{10**30:,}")
    told = told.replace("2⁶³", f"{2**63:,}")
    found = set(bounds(TrainingSpec.model_json_schema()))
    assert len(found) > 10
    for bound in found:
        text = f"{round(bound) if bound < 1e30 else 10**30:,}" if bound >= 1 else f"{bound}"
        assert re.search(rf"(?<![\d,.]){re.escape(text)}(?![\d]|,\d)", told), text
