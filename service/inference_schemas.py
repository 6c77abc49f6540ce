"""The objects of the Open Inference Protocol v2, with its extensions for binary tensors and classification.

Unlike elsewhere, members that are not known are ignored: the protocol's clients send some of their own.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictStr, WithJsonSchema

Numeric = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64"
]
Datatype = Numeric | Literal["BYTES"]


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("A parameter is a string, a number, true or false.")
    return value


Parameter = Annotated[Any, PlainValidator(_scalar, json_schema_input_type=bool | int | float | str)]
# What stands in a list of numbers is looked at by NumPy, not here.
Data = list[Annotated[Any, WithJsonSchema({"type": ["number", "boolean", "array"]})]]
Size = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
INPUT, MASK, OUTPUT = "inputs", "mask", "outputs"


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class _Parameters(_Object):
    """Known parameters and any others, which are scalars."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Parameter]

    def names(self) -> set[str]:
        """Of the parameters that only the client knows."""
        return set(self.__pydantic_extra__)


class RequestParameters(_Parameters):
    """`binary_data_output` is known; others change nothing, but those of sequences are refused."""

    binary_data_output: StrictBool = Field(False, description="Outputs in binary where they do not say for themselves.")


class InputParameters(_Parameters):
    """`binary_data_size` is known; others change nothing, but those of shared memory are refused."""

    binary_data_size: Size | None = Field(None, description="Bytes of this tensor behind the JSON, in place of `data`.")


class OutputParameters(_Parameters):
    """`binary_data` and `classification` are known; others change nothing, but those of shared memory are refused."""

    binary_data: StrictBool | None = Field(None, description="Whether this tensor stands in binary behind the JSON.")
    classification: Annotated[int, Field(strict=True, ge=1, lt=2**31)] | None = Field(
        None, description="How many of the likeliest classes to name for each row, as `<value>:<index>:<class>`."
    )


class RequestInput(_Object):
    """A tensor: `data` flat in row-major order or nested as its shape, or binary behind the JSON."""

    name: StrictStr = Field(examples=[INPUT])
    shape: list[Size] = Field(min_length=1, max_length=9, description="Rows first.", examples=[[1, 4]])
    datatype: Numeric = Field(examples=["FP32"])
    parameters: InputParameters | None = None
    data: Data | None = Field(None, examples=[[5.1, 3.5, 1.4, 0.2]])


class RequestOutput(_Object):
    """A tensor that is asked for, and its form."""

    name: StrictStr = Field(examples=[OUTPUT])
    parameters: OutputParameters | None = None


class InferRequest(_Object):
    """Rows to predict: raw values as they were uploaded; the model carries its preprocessing."""

    id: StrictStr | None = Field(None, description="Comes back in the answer.")
    parameters: RequestParameters | None = None
    inputs: list[RequestInput] = Field(
        min_length=1,
        max_length=2,
        description=f"`{INPUT}`, which may have any name where it is alone, and for sequences of unequal length "
        f"`{MASK}`, of shape [rows, steps]: 1 for steps that count, 0 for padding.",
    )
    outputs: list[RequestOutput] | None = Field(None, description=f"`{OUTPUT}` is the only one, and the default.")


class ResponseParameters(_Object):
    """Of a tensor that stands behind the JSON."""

    binary_data_size: int


class ResponseOutput(_Object):
    """A tensor: `data` flat in row-major order, or binary behind the JSON."""

    name: str = Field(examples=[OUTPUT])
    datatype: Datatype = Field(examples=["FP32"])
    shape: list[int] = Field(examples=[[1, 3]])
    parameters: ResponseParameters | None = None
    data: list[float | str] | None = None


class InferResponse(_Object):
    """Probabilities after cross-entropy, else the last layer's values; or the likeliest classes."""

    model_name: str = Field(examples=["iris"])
    model_version: str = Field(examples=["1"])
    id: str | None = None
    outputs: list[ResponseOutput]


class ServerMetadata(_Object):
    """Who answers, and what it can beyond the protocol's core."""

    name: str = "nudge"
    version: str
    extensions: tuple[str, ...] = ("binary_tensor_data", "classification")


class TensorMetadata(_Object):
    """A tensor that a model takes or gives; -1 stands for the number of rows."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(_Object):
    """A model's tensors. Any numeric datatype is taken; the one named here is that of its dataset."""

    name: str
    versions: list[str]
    platform: str = "nudge"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerLive(_Object):
    """A sign of life."""

    live: Literal[True] = True


class ServerReady(_Object):
    """The server can work."""

    ready: Literal[True] = True


class ModelReady(_Object):
    """The model is loaded."""

    name: str
    ready: Literal[True] = True


class ErrorResponse(_Object):
    """What went wrong, where, and what to do instead."""

    error: str
