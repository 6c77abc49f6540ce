"""Pictures to predict, sent as multipart/form-data: `file` once or more, and what is asked about them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, BinaryIO

from fastapi import Request
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from core.spec import Finding, Spec, SpecError, findings, pointer
from service import bodies
from service.arrays import BatchTooLarge
from service.prediction_requests import MAX_TOP
from service.settings import ServiceSettings
from service.uploads import MalformedForm

MAX_FIELD_BYTES = 1024


class PictureFields(Spec):
    """What is said about pictures beside them."""

    top: int = Field(1, ge=1, le=MAX_TOP, description="How many classes to name for each picture.")
    resize: bool = Field(False, description="Whether pictures of another size are stretched to the model's.")


@dataclass
class PictureForm:
    """A form that has arrived. Its files are to be closed."""

    files: list[BinaryIO]
    fields: PictureFields

    def close(self) -> None:
        """Let go of the files."""
        for file in self.files:
            file.close()


class _Parser(MultiPartParser):
    """Starlette's, which must reach the end and meet only so many parts."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], max_rows: int) -> None:
        super().__init__(headers, stream, max_files=float("inf"), max_part_size=MAX_FIELD_BYTES)
        self.max_rows = max_rows
        self.ended = False

    def on_part_begin(self) -> None:
        """Nothing more is kept once there are too many."""
        if len(self.items) >= self.max_rows + len(PictureFields.model_fields):
            raise BatchTooLarge(self.max_rows)
        super().on_part_begin()

    def on_end(self) -> None:
        """The last boundary."""
        self.ended = True


async def receive(request: Request, settings: ServiceSettings) -> PictureForm:
    """The form of a request, within NUDGE_MAX_BODY_BYTES; short files stay in memory.

    Raises:
        MalformedForm: no boundary, or not a form.
        SpecError: a part that nobody reads, a field that came twice or holds what it must not, or no file.
        BatchTooLarge: more files than one prediction takes rows.
        BodyTooLarge, BodyTooSlow: as for every body.
    """
    chunks = bodies.stream(request, "NUDGE_MAX_BODY_BYTES", settings.max_body_bytes, settings.body_timeout_s)
    parser = _Parser(request.headers, chunks, settings.max_predict_rows)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedForm(f"The body is not a multipart form: {error.message.rstrip('.')}.") from None
    try:
        if not parser.ended:
            raise MalformedForm("The form ends before its last boundary; send it whole.")
        read = _read(form)
        if len(read.files) > settings.max_predict_rows:
            raise BatchTooLarge(settings.max_predict_rows)
    except Exception:
        await form.close()
        raise
    return read


def _read(form: FormData) -> PictureForm:
    files: list[BinaryIO] = []
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "file":
            if not isinstance(value, UploadFile):
                raise SpecError([Finding("/file", "This part is text; send the picture as a file, with its filename.")])
            files.append(value.file)
        elif name in fields:
            raise SpecError([Finding(pointer((name,)), "The part is given twice; keep one of them.")])
        elif name not in PictureFields.model_fields:
            known = ", ".join(("file", *PictureFields.model_fields))
            raise SpecError([Finding(pointer((name[:80],)), f"There is no such part; known are {known}.")])
        else:
            fields[name] = value if isinstance(value, str) else ""
    if not files:
        raise SpecError([Finding("/file", "There is no picture; send one or more as the part `file`.")])
    try:
        return PictureForm(files, PictureFields.model_validate(fields))
    except ValidationError as error:
        raise SpecError(findings(error)) from None
