"""The WebSocket: chunks of samples in, segments out."""

import asyncio
import contextlib
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from emorec_lobes.errors import EmorecError
from emorec_lobes.server.answers import as_segment
from emorec_lobes.server.questions import StreamQuestion, checked
from emorec_lobes.server.refusals import Refused
from emorec_lobes.server.service import Service

if TYPE_CHECKING:
    import numpy as np
    from starlette.websockets import WebSocket

    from emorec_lobes.inference.recognizer import Stream

# By RFC 6455: a chunk cannot be used; try again later; a defect of ours.
_UNUSABLE, _LATER, _DEFECT = 1007, 1013, 1011
_CLOSE_CODES = {503: _LATER}


async def serve_stream(socket: "WebSocket", service: Service) -> None:
    """Answers one stream, from the handshake to its end.

    The client names rate and encoding in the address, is told what it gets, sends binary
    chunks, and the text `finish` at the end. Each chunk is answered by the segments that it completed.

    Arguments
    ---------
    socket : starlette.websockets.WebSocket
    service : Service

    Raises
    ------
    Refused
        Before the handshake.
    """
    question = checked(StreamQuestion, dict(socket.query_params))
    with service.admitted("streams"):
        await socket.accept()
        await _converse(socket, service, question)


async def _converse(socket: "WebSocket", service: Service, question: StreamQuestion) -> None:
    from starlette.websockets import WebSocketDisconnect

    try:
        stream = await service.stream(question)
        await socket.send_json({"labels": list(service.recognizer.labels), "latency_s": float(stream.latency_s)})
        await _answer_chunks(socket, service, stream, question)
        await socket.close()
    except WebSocketDisconnect:
        return
    except EmorecError as error:
        await _end(socket, str(error), _CLOSE_CODES.get(getattr(error, "status", 0), _UNUSABLE))
    except Exception:
        await _end(socket, "The server has a defect here; its log says more.", _DEFECT)
        raise


async def _answer_chunks(socket: "WebSocket", service: Service, stream: "Stream", question: StreamQuestion) -> None:
    received_s, ended = 0.0, False
    while not ended:
        chunk = await _next_chunk(socket, service, question)
        ended = chunk is None
        if not ended:
            received_s += len(chunk) / question.sample_rate_hz
        if received_s > service.limits.max_stream_s:
            raise Refused(f"A stream must be at most {service.limits.max_stream_s:g} s long. Open another one.", 413)
        found = await service.in_model_thread(stream.finish if ended else partial(stream.push, chunk))
        segments = [asdict(as_segment(segment)) for segment in found]
        await socket.send_json({"segments": segments, "received_s": round(received_s, 3), "finished": ended})


async def _next_chunk(socket: "WebSocket", service: Service, question: StreamQuestion) -> "np.ndarray | None":
    """Samples in [-1, 1]; None at the end."""
    from starlette.websockets import WebSocketDisconnect

    try:
        message: dict[str, Any] = await asyncio.wait_for(socket.receive(), service.limits.timeout_s)
    except TimeoutError:
        raise Refused(f"A chunk must come within {service.limits.timeout_s:g} s, but none came.", 503) from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    if message.get("bytes") is not None:
        return _samples(message["bytes"], question.encoding)
    if message.get("text") != "finish":
        raise Refused("A message must be binary samples or the text `finish`, but is another text.")
    return None


def _samples(data: bytes, encoding: str) -> "np.ndarray":
    import numpy as np

    kind = np.dtype("<f4" if encoding == "float32" else "<i2")
    if len(data) % kind.itemsize:
        raise Refused(f"A chunk must hold whole {encoding} samples, but has {len(data)} bytes. Cut between samples.")
    samples = np.frombuffer(data, kind).astype(np.float32)
    if encoding == "int16":
        samples /= 32768
    if not np.isfinite(samples).all():
        raise Refused("A chunk must hold finite samples, but has NaN or infinite ones.")
    return samples


async def _end(socket: "WebSocket", error: str, code: int) -> None:
    from starlette.websockets import WebSocketDisconnect

    with contextlib.suppress(WebSocketDisconnect):  # nobody listens any more
        await socket.send_json({"error": error})
        await socket.close(code)
