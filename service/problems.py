"""One table: what went wrong -> what HTTP says of it (RFC 9457). No other file says which error has which status."""

from collections.abc import Iterable

from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from core.checkpoint import CheckpointDamaged
from core.onnx import NotExportable
from core.readers import DataError, TooLarge
from core.sentences import sentence
from core.spec import Finding, SpecError, pointer
from service.admission import TooMuchMemory
from service.arrays import BatchTooLarge, InputsRefused
from service.bodies import BodyTooLarge, BodyTooSlow, EncodedBody, WrongContentType
from service.dependencies import BadHeader, NoSuchModel, NotReady
from service.evaluation_request import EvaluationTooLarge
from service.guard import HostRefused, OriginRefused
from service.lanes import Busy
from service.limits import AnswerTooLarge, TooManyRows, TooMuchWork
from service.parameters import BadParameter
from service.pictures import TooManyPixels
from service.preconditions import PreconditionFailed
from service.problem_details import Members, Problem
from service.recorded import NoDescent, NotRecorded
from service.references import MissingReference
from service.strict_json import MalformedJson, RefusedJson
from service.uploads import MalformedForm
from service.wire import MALFORMED_REQUEST
from store import errors


def _errors(found: Iterable[Finding]) -> Members:
    return {"errors": [{"pointer": at, "detail": detail} for at, detail in found]}


def _row_errors(error: DataError) -> Members:
    rows = [
        {"pointer": row.pointer or "", "row": row.row, "column": row.column, "detail": row.reason}
        for row in error.errors
    ]
    return {"errors": rows, "total": error.total}


def _parameters(error: RequestValidationError) -> Members:
    # Only what is wrong is said, never the value: it may be NaN, which JSON cannot carry.
    return _errors(Finding(pointer(item["loc"]), sentence(item, item["loc"], {})) for item in error.errors())


PROBLEMS: dict[type[Exception], Problem] = {
    # The request as such.
    MalformedJson: Problem(400, "malformed-json", "The body cannot be read", "The body is not JSON in UTF-8."),
    MalformedForm: Problem(400, "malformed-form", "The form cannot be read", "The body is not multipart/form-data."),
    ClientDisconnect: Problem(400, "body-cut-short", "The body was cut short", "The connection ended within the body."),
    OriginRefused: Problem(
        403,
        "foreign-origin",
        "Pages of other origins may not use this server",
        "The request came from a web page that this server did not serve.",
    ),
    BodyTooSlow: Problem(408, "body-timeout", "The body did not arrive", "The body stopped arriving."),
    EvaluationTooLarge: Problem(
        413,
        "evaluation-too-large",
        "The evaluation is too large",
        "One evaluation takes only so many rows, or so much arithmetic.",
        lambda error: {"limit": error.setting, "limit_value": error.limit, "limit_rows": error.most},
    ),
    PreconditionFailed: Problem(
        412,
        "precondition-failed",
        "It is not as the request expects",
        "If-Match or If-None-Match does not hold: it was changed, made or removed meanwhile.",
        lambda error: {"current_etag": error.etag},
    ),
    BodyTooLarge: Problem(
        413,
        "body-too-large",
        "The body is too large",
        "The body is longer than the limit it names.",
        lambda error: {"limit": error.setting, "limit_bytes": error.limit},
    ),
    TooLarge: Problem(
        413,
        "data-too-large",
        "The data are too large",
        "The data are larger than the limit when unpacked.",
        lambda error: {"limit": error.limit, "limit_value": error.value},
    ),
    BatchTooLarge: Problem(
        413,
        "batch-too-large",
        "The batch is too large",
        "A prediction takes only so many rows.",
        lambda error: {"limit": "NUDGE_MAX_PREDICT_ROWS", "limit_rows": error.limit},
    ),
    TooManyRows: Problem(
        413,
        "too-many-rows",
        "There are too many rows",
        "So many rows are not explained together.",
        lambda error: {"limit": "NUDGE_MAX_EXPLAIN_ROWS", "limit_rows": error.limit},
    ),
    TooMuchWork: Problem(
        413,
        "too-much-work",
        "That is too much work for one answer",
        "Going through so many rows would take more operations than one answer is granted.",
        lambda error: {"limit": error.setting, "limit_flops": error.limit, "limit_rows": error.most},
    ),
    AnswerTooLarge: Problem(
        413,
        "answer-too-large",
        "The answer would be too large",
        "An explanation holds only so many numbers.",
        lambda error: {"limit": "NUDGE_MAX_EXPLAIN_NUMBERS", "limit_numbers": error.limit},
    ),
    TooManyPixels: Problem(
        413,
        "too-many-pixels",
        "The pictures are too large",
        "The pictures of a prediction have only so many pixels.",
        lambda error: {"limit": "NUDGE_MAX_PREDICT_PIXELS", "limit_pixels": error.limit},
    ),
    WrongContentType: Problem(
        415,
        "wrong-content-type",
        "The content type is not supported",
        "The Content-Type is not one that the operation reads.",
    ),
    EncodedBody: Problem(
        415,
        "encoded-body",
        "The body must not be encoded",
        "The Content-Encoding is not `identity`: the body is read as it is.",
    ),
    HostRefused: Problem(
        421, "unknown-host", "The server is not known by this name", "The Host header is not on the server's list."
    ),
    # What the request asks.
    RequestValidationError: Problem(
        422,
        "invalid-parameter",
        "A parameter is not valid",
        "A query, path or header parameter is outside what is allowed.",
        _parameters,
    ),
    BadHeader: Problem(
        422,
        "invalid-parameter",
        "A parameter is not valid",
        "A query, path or header parameter is outside what is allowed.",
        lambda error: _errors([Finding(pointer(("header", error.name)), error.detail)]),
    ),
    BadParameter: Problem(
        422,
        "invalid-parameter",
        "A parameter is not valid",
        "A query, path or header parameter is outside what is allowed.",
        lambda error: _errors([Finding(pointer(("query", error.name)), error.detail)]),
    ),
    NotRecorded: Problem(
        422,
        "step-not-recorded",
        "The gradients of this step were not compared",
        "Gradients are compared at evenly spaced updates; `steps` names them.",
        lambda error: {**_errors([Finding(pointer(("query", "step")), str(error))]), "steps": error.steps},
    ),
    RefusedJson: Problem(
        422,
        "refused-value",
        "A value cannot be kept exactly",
        "The JSON holds NaN, infinity, an integer beyond 64 bits, a broken character, a key twice, or nests too deep.",
        lambda error: _errors([Finding(error.pointer, error.detail)]),
    ),
    SpecError: Problem(
        422,
        "invalid-spec",
        "The request does not fit its description",
        "Fields are missing, unknown, or hold what they must not.",
        lambda error: _errors(error.errors),
    ),
    NotExportable: Problem(
        422,
        "not-exportable",
        "The model cannot be written in this format",
        "The format has no form for a layer, or no room for its parameters.",
        lambda error: _errors(error.errors),
    ),
    TooMuchMemory: Problem(
        422,
        "too-much-memory",
        "The job needs too much memory",
        "The estimated memory of the job is over the limit of this server.",
        lambda error: {"memory_bytes": error.estimate, "limit_bytes": error.limit},
    ),
    InputsRefused: Problem(
        422,
        "invalid-inputs",
        "The inputs do not fit the model",
        "The inputs are ragged, not finite, or not of the model's input shape.",
        lambda error: _errors([Finding(error.pointer, error.detail)]),
    ),
    DataError: Problem(
        422,
        "invalid-data",
        "The data cannot be read",
        "Rows or values of the dataset are not what they should be.",
        _row_errors,
    ),
    errors.BadCursor: Problem(422, "invalid-cursor", "The cursor is not valid", "This list never gave the cursor."),
    errors.KeyReused: Problem(
        422,
        "key-reused",
        "The idempotency key was used before",
        "The Idempotency-Key came before with another request.",
    ),
    # What the store says.
    errors.NotFound: Problem(404, "not-found", "There is no such thing", "Nothing of this id is yours."),
    NoSuchModel: Problem(404, "not-found", "There is no such thing", "Nothing of this id is yours."),
    MissingReference: Problem(
        404,
        "not-found",
        "There is no such thing",
        "Nothing of this id is yours.",
        lambda error: _errors(error.findings),
    ),
    errors.IllegalMove: Problem(
        409,
        "illegal-move",
        "The job's status does not allow it",
        "The job is in a status from which it cannot go there.",
        lambda error: {"current_status": error.status},
    ),
    errors.NoPredictions: Problem(
        409,
        "no-predictions",
        "The job has no predictions",
        "The job is a training, or did not come to its end.",
        lambda error: {"current_status": error.status},
    ),
    NoDescent: Problem(
        409,
        "no-descent",
        "The job has no descent to look at",
        "The job was not traced, or its training has not come to its end.",
        lambda error: {"current_status": error.status},
    ),
    errors.NoReceipt: Problem(
        409,
        "no-receipt",
        "The job has no receipt",
        "Only trainings have receipts.",
        lambda error: {"current_status": error.status},
    ),
    errors.InUse: Problem(409, "in-use", "It is in use", "Something else still needs it."),
    errors.KeyInProgress: Problem(
        409,
        "key-in-progress",
        "The first request is under way",
        "A request with this Idempotency-Key is being answered.",
        retry_after_s=1,
    ),
    errors.Unavailable: Problem(
        503,
        "unavailable",
        "The store cannot be reached",
        "The database or the blob store does not answer now.",
        retry_after_s=2,
    ),
    NotReady: Problem(
        503,
        "not-ready",
        "The server is not ready",
        "Something the server needs is missing or down.",
        lambda error: {"reasons": error.reasons},
        retry_after_s=2,
    ),
    Busy: Problem(503, "busy", "The server is busy", "Too many requests wait in line.", retry_after_s=5),
    # What must not happen.
    errors.BlobDamaged: Problem(500, "damaged", "Stored bytes are damaged", "Stored bytes do not match their digest."),
    CheckpointDamaged: Problem(500, "damaged", "Stored bytes are damaged", "Stored bytes do not match their digest."),
}
ROUTING: dict[int, Problem] = {
    404: Problem(404, "no-such-route", "There is nothing at this address", "No operation has this path."),
    405: Problem(405, "method-not-allowed", "The method is not allowed here", "The Allow header lists the methods."),
}
UNEXPECTED = Problem(
    500, "internal-error", "Something went wrong in the server", "A fault of the server, which is logged."
)


def documented() -> dict[str, Problem]:
    """Every kind of problem that this server sends, by slug."""
    everything = (*PROBLEMS.values(), *ROUTING.values(), MALFORMED_REQUEST, UNEXPECTED)
    return {problem.slug: problem for problem in everything}
