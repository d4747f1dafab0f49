"""A request's body -> what is asked; nothing in it is ever taken for a path or an address."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from emorec_lobes.errors import not_one_of
from emorec_lobes.server.limits import Limits
from emorec_lobes.server.refusals import Refused
from emorec_lobes.units import Seconds

if TYPE_CHECKING:
    from starlette.requests import Request

_MAX_TEXT_LENGTH = 10_000
_MAX_TEXT_BYTES = 4 * _MAX_TEXT_LENGTH  # in UTF-8
_MAX_FIELDS = 8
# Windows between which a timeline is a timeline, and its cost is bounded.
_WINDOW_S: tuple[Seconds, Seconds] = (0.25, 60)
_MIN_SHIFT_S: Seconds = 0.1

_CLOSED = {"extra": "forbid", "val_json_bytes": "base64", "allow_inf_nan": False}


def _asked(description: str, default: Any = None, **bounds: float) -> Any:
    return field(default=default, metadata={"description": description, **bounds})


_RECORDING = {
    "description": "the bytes of a wav, flac, ogg or mp3 file in base64",
    "json_schema_extra": {"format": "base64"},
}


@dataclass(frozen=True)
class ClassifyQuestion:
    """A recording, the words said, or both, and how to answer for the whole of it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    audio: bytes | None = field(default=None, metadata=_RECORDING)
    text: str | None = _asked("the words said, where the model takes text", max_length=_MAX_TEXT_LENGTH)
    labels: tuple[str, ...] | None = _asked("the emotions to choose among (a,b in a form); all if null", min_length=1)
    threshold: float | None = _asked("the label is null below this confidence", ge=0, le=1)
    embedding: bool = _asked("whether to return what the classifier saw", default=False)


@dataclass(frozen=True)
class TimelineQuestion:
    """A recording, and how to answer for its parts."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    audio: bytes = field(metadata=_RECORDING)
    labels: tuple[str, ...] | None = _asked("the emotions to choose among (a,b in a form); all if null", min_length=1)
    window_s: float | None = _asked("length of a window in seconds", ge=_WINDOW_S[0], le=_WINDOW_S[1])
    shift_s: float | None = _asked("seconds from a window to the next", ge=_MIN_SHIFT_S, le=_WINDOW_S[1])


@dataclass(frozen=True)
class StreamQuestion:
    """What the chunks of a stream are."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CLOSED

    sample_rate_hz: int = _asked("of the samples that will be sent", default=16_000, ge=4_000, le=192_000)
    encoding: str = _asked("float32 or int16, little-endian, mono", default="float32", pattern="^(float32|int16)$")
    window_s: float | None = _asked("length of a window in seconds", ge=_WINDOW_S[0], le=_WINDOW_S[1])
    shift_s: float | None = _asked("seconds from a window to the next", ge=_MIN_SHIFT_S, le=_WINDOW_S[1])


Question = TypeVar("Question", ClassifyQuestion, TimelineQuestion)


async def read_question(kind: type[Question], request: "Request", limits: Limits) -> Question:
    """Reads a request's body, a form or JSON.

    Arguments
    ---------
    kind : type
        Which question.
    request : starlette.requests.Request
    limits : Limits

    Returns
    -------
    ClassifyQuestion or TimelineQuestion

    Raises
    ------
    Refused
        400, 413 or 415.
    """
    content = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content == "multipart/form-data":
        question = checked(kind, await _form(kind, request, limits))
    elif content == "application/json":
        question = checked(kind, await request.body())
    else:
        raise Refused(
            f"`Content-Type` must be multipart/form-data or application/json, but is {content[:80]!r} instead. "
            "Send the recording as the field `file` of a form.",
            415,
        )
    if len(question.audio or b"") > limits.max_upload_bytes:
        raise Refused(f"The audio must be at most {limits.max_upload_mb:g} MB, but is larger. Send it in parts.", 413)
    return question


def checked(kind: type[Any], asked: dict[str, Any] | bytes) -> Any:
    """A question of this kind, from JSON or from a form's fields.

    Raises
    ------
    Refused
        400, with the first thing that is wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(kind)
        return adapter.validate_json(asked) if isinstance(asked, bytes) else adapter.validate_python(asked)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = f"`{place[:80]}`" if place else "The body"
        reason = " ".join(f"{what} cannot be used: {first['msg']}".split()).rstrip(".")
        raise Refused(f"{json.dumps(reason)[1:-1]}. See /openapi.json.") from None


async def _form(kind: type[Question], request: "Request", limits: Limits) -> dict[str, Any]:
    from starlette.formparsers import MultiPartException, MultiPartParser

    parser = MultiPartParser(
        *(request.headers, request.stream()), max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_TEXT_BYTES
    )
    parser.spool_max_size = limits.max_body_bytes  # in memory, never on the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refused(f"The form cannot be read: {error.message.rstrip('.')}. See /openapi.json.") from None
    try:
        asked = _fields(kind, {name: form[name] for name in form if name != "file"})
        upload = form.get("file")
        if isinstance(upload, str):
            raise Refused("The field `file` must be a file, but is a text. Try curl's -F file=@a.wav.")
        return asked if upload is None else {**asked, "audio": await upload.read()}
    finally:
        await form.close()


def _fields(kind: type[Question], values: dict[str, Any]) -> dict[str, Any]:
    """A form's fields; one that was left empty was not filled in."""
    known = {item.name for item in fields(kind)} - {"audio"}
    unknown = next((name for name, value in values.items() if name not in known or not isinstance(value, str)), None)
    if unknown is not None:
        raise Refused(not_one_of("field", unknown[:80], sorted({*known, "file"})))
    asked: dict[str, Any] = {name: value for name, value in values.items() if value}
    if "labels" in asked:
        asked["labels"] = tuple(word.strip() for word in asked["labels"].split(","))
    return asked


def check_possible(question: ClassifyQuestion | TimelineQuestion, labels: Sequence[str], takes_text: bool) -> None:
    """Refuses a question that this model cannot answer.

    Arguments
    ---------
    question : ClassifyQuestion or TimelineQuestion
    labels : sequence of str
        What the model knows.
    takes_text : bool
        Whether it wants words too.

    Raises
    ------
    Refused
        422.
    """
    asked = question.labels or ()
    unknown = next((label for label in asked if label not in labels), None)
    if question.audio is None and getattr(question, "text", None) is None:
        raise Refused("A recording must be sent, but is not. Try curl's -F file=@a.wav.")
    if unknown is not None:
        raise Refused(not_one_of("label", unknown[:80], labels), 422)
    if len(set(asked)) < len(asked):
        raise Refused("`labels` must name each emotion once, but names one twice. Remove it.", 422)
    if getattr(question, "text", None) is not None and not takes_text:
        raise Refused("`text` must be left out, because this server's model takes audio alone. Remove it.", 422)
