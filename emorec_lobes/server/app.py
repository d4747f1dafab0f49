"""The routes, and how an error is said."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emorec_lobes import __version__
from emorec_lobes.errors import EmorecError
from emorec_lobes.server.answers import Answer, Health, Problem, Timeline
from emorec_lobes.server.guard import Guard
from emorec_lobes.server.limits import Limits
from emorec_lobes.server.metrics import Metrics
from emorec_lobes.server.questions import ClassifyQuestion, TimelineQuestion, check_possible, read_question
from emorec_lobes.server.refusals import Refused
from emorec_lobes.server.service import Service, within
from emorec_lobes.server.streaming import serve_stream

if TYPE_CHECKING:
    from fastapi import FastAPI

    from emorec_lobes.inference.recognizer import EmotionRecognizer

PAGE = Path(__file__).parent / "page"
_REFUSALS = {status: {"model": Problem} for status in (400, 401, 403, 413, 415, 422, 503)}


def build_app(
    recognizer: "EmotionRecognizer", limits: Limits, token: str | None = None, is_local: bool = False
) -> "FastAPI":
    """The server as an ASGI application.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        Answers; it is asked by one thread.
    limits : Limits
    token : str, optional
        What requests must carry.
    is_local : bool
        Whether only requests to a name of this machine are answered.

    Returns
    -------
    fastapi.FastAPI
    """
    from fastapi import FastAPI
    from starlette.responses import FileResponse
    from starlette.staticfiles import StaticFiles

    metrics = Metrics()
    service = Service(recognizer, limits, metrics)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    # FastAPI's own documentation pages load scripts from elsewhere; /openapi.json is all of it.
    app = FastAPI(title="emorec", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    app.add_middleware(Guard, limits=limits, metrics=metrics, token=token, is_local=is_local)
    _add_errors(app)
    _add_questions(app, service)
    _add_state(app, service, metrics, needs_token=token is not None)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def _add_questions(app: "FastAPI", service: Service) -> None:
    from fastapi import Request, WebSocket

    limits, recognizer = service.limits, service.recognizer

    async def ask(kind: type[Any], request: Request, answer: Any) -> Any:
        with service.admitted("requests"):
            async with within(limits):
                question = await read_question(kind, request, limits)
                check_possible(question, recognizer.labels, recognizer.takes_text)
                return await answer(question)

    @app.post("/v1/classify", responses=_REFUSALS, openapi_extra=_body(ClassifyQuestion))
    async def classify(request: Request) -> Answer:
        """The emotion of a whole recording."""
        return await ask(ClassifyQuestion, request, service.classify)

    @app.post("/v1/timeline", responses=_REFUSALS, openapi_extra=_body(TimelineQuestion))
    async def timeline(request: Request) -> Timeline:
        """The emotion of a recording's parts, in the order of time."""
        return await ask(TimelineQuestion, request, service.timeline)

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await serve_stream(socket, service)


def _add_state(app: "FastAPI", service: Service, metrics: Metrics, needs_token: bool) -> None:
    from starlette.responses import Response

    recognizer, limits = service.recognizer, service.limits

    @app.get("/health")
    async def health() -> Health:
        """Whether the server answers, and what it can be asked."""
        takes = (recognizer.takes_audio, recognizer.takes_text)
        granted = (limits.max_upload_mb, limits.max_audio_s)
        return Health("ok", __version__, list(recognizer.labels), *takes, needs_token, *granted)

    @app.get("/metrics", include_in_schema=False)
    async def numbers() -> Response:
        content, content_type = metrics.text()
        return Response(content, media_type=content_type)


def _body(kind: type[Any]) -> dict[str, Any]:
    """A question in OpenAPI: as JSON, and as a form with the file beside the fields."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(kind).json_schema()
    others = {name: value for name, value in schema["properties"].items() if name != "audio"}
    file = {"type": "string", "format": "binary", "description": "a wav, flac, ogg or mp3 file"}
    required = ["file" if name == "audio" else name for name in schema.get("required", ())]
    form = {"type": "object", "required": required, "properties": {"file": file, **others}}
    content = {"multipart/form-data": {"schema": form}, "application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def _add_errors(app: "FastAPI") -> None:
    from fastapi import Request
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse

    @app.exception_handler(EmorecError)
    async def unusable(_: Request, error: EmorecError) -> JSONResponse:
        refused = error if isinstance(error, Refused) else Refused(str(error), 422)
        return JSONResponse({"error": str(refused)}, refused.status, refused.headers)

    @app.exception_handler(HTTPException)
    async def not_here(_: Request, error: HTTPException) -> JSONResponse:
        line = "This address, or this method of it, is not answered here. See /openapi.json."
        return JSONResponse({"error": line}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def defect(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": "The server has a defect here; its log says more."}, 500)
